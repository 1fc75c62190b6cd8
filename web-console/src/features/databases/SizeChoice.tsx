import { VisuallyHidden } from "@mantine/core";
import { useTranslation } from "react-i18next";
import type { ComputeSize } from "#/api/types";
import { formatCompute, formatCount, formatMemory } from "#/lib/format";
import css from "./Choice.module.css";

/** Sizes of compute; those beyond the plan are shown, and cannot be chosen. */
export function SizeChoice({
  sizes,
  milliVcpuMax,
  value,
  onChange,
  titled = false,
}: {
  sizes: readonly ComputeSize[];
  milliVcpuMax: number;
  value: number | undefined;
  onChange: (milliVcpu: number) => void;
  /** Whether a title stands above it already; the label is then for voices alone. */
  titled?: boolean;
}) {
  const { t } = useTranslation();
  return (
    <fieldset className={css.choices}>
      {titled ? (
        <VisuallyHidden component="legend">{t("size.label")}</VisuallyHidden>
      ) : (
        <legend>{t("size.label")}</legend>
      )}
      {sizes.map((size) => {
        const beyond = size.milli_vcpu > milliVcpuMax;
        return (
          <label key={size.milli_vcpu} className={css.choice}>
            <input
              type="radio"
              name="milli_vcpu"
              checked={value === size.milli_vcpu}
              disabled={beyond}
              onChange={() => onChange(size.milli_vcpu)}
            />
            <strong className="tabular">{formatCompute(size.milli_vcpu)}</strong>
            <span>{t("size.memory", { memory: formatMemory(size.memory_mib) })}</span>
            <span>
              {beyond
                ? t("size.beyondPlan")
                : t("size.connections", {
                    count: size.connections_max,
                    formatted: formatCount(size.connections_max),
                  })}
            </span>
          </label>
        );
      })}
    </fieldset>
  );
}
