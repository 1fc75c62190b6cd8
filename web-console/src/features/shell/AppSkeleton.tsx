import { useTranslation } from "react-i18next";
import { Bone } from "#/ui/Loaded";
import css from "./shell.module.css";

/** The console's outline while it is not yet known who is there. */
export function AppSkeleton() {
  const { t } = useTranslation();
  return (
    <div className={css.shell} role="status" aria-label={t("loading")}>
      <div className={css.sidebar} />
      <div className={css.main}>
        <div style={{ padding: 32, display: "grid", gap: 20 }}>
          <Bone width={220} height={30} />
          <Bone height={160} panel />
        </div>
      </div>
    </div>
  );
}
