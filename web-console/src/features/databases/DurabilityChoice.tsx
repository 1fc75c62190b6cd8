import { VisuallyHidden } from "@mantine/core";
import { useTranslation } from "react-i18next";
import type { Database, Plan } from "#/api/types";
import css from "./Choice.module.css";

/** When commits are acknowledged; what the plan does not have is shown, and cannot be chosen. */
export function DurabilityChoice({
  plan,
  value,
  onChange,
  titled = false,
}: {
  plan: Plan | undefined;
  value: Database["durability"];
  onChange: (durability: Database["durability"]) => void;
  /** Whether a title stands above it already; the label is then for voices alone. */
  titled?: boolean;
}) {
  const { t } = useTranslation();
  const offered = plan?.durability_s3 ?? false;
  const choices = [
    { durability: "local", hint: t("durability.localHint"), disabled: false },
    {
      durability: "s3",
      hint: offered ? t("durability.s3Hint") : t("durability.beyondPlan"),
      disabled: !offered,
    },
  ] as const;
  return (
    <fieldset className={css.choices}>
      {titled ? (
        <VisuallyHidden component="legend">{t("durability.label")}</VisuallyHidden>
      ) : (
        <legend>{t("durability.label")}</legend>
      )}
      {choices.map(({ durability, hint, disabled }) => (
        <label key={durability} className={css.choice}>
          <input
            type="radio"
            name="durability"
            checked={value === durability}
            disabled={disabled && value !== durability}
            onChange={() => onChange(durability)}
          />
          <strong>{t(`durability.${durability}`)}</strong>
          <span>{hint}</span>
        </label>
      ))}
    </fieldset>
  );
}
