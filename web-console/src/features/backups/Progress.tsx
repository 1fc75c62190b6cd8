import { useTranslation } from "react-i18next";
import css from "./backups.module.css";

/** A bar that fills; one whose whole is not known says so by standing still. */
export function Progress({ percent, label }: { percent: number | undefined; label: string }) {
  const { t } = useTranslation();
  const text = percent === undefined ? t("backups.unknown") : `${percent} %`;
  return (
    <div
      className={css.bar}
      role="progressbar"
      aria-label={label}
      aria-valuetext={text}
      {...(percent === undefined
        ? {}
        : { "aria-valuenow": percent, "aria-valuemin": 0, "aria-valuemax": 100 })}
    >
      <span style={{ width: `${percent ?? 0}%` }} />
    </div>
  );
}
