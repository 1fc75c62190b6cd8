import IconCheck from "@tabler/icons-react/dist/esm/icons/IconCheck.mjs";
import IconX from "@tabler/icons-react/dist/esm/icons/IconX.mjs";
import { useTranslation } from "react-i18next";
import type { Operation, OperationStep } from "#/api/types";
import { formatDuration } from "#/lib/format";
import css from "./Steps.module.css";

/** The steps of an operation, each as it stands. */
export function Steps({ operation }: { operation: Operation }) {
  const { t } = useTranslation();
  return (
    <ol className={css.steps} aria-label={t("creation.steps")}>
      {operation.steps.map((step) => (
        <li key={step.name} className={css.step} data-state={step.state}>
          <span className={css.sign} aria-hidden="true">
            {step.state === "succeeded" ? <IconCheck size={16} stroke={2.4} /> : null}
            {step.state === "failed" ? <IconX size={16} stroke={2.4} /> : null}
          </span>
          <span>{step.name}</span>
          <span className={css.time}>
            {durationOf(step) ?? t(`creation.stepState.${step.state}`)}
          </span>
        </li>
      ))}
    </ol>
  );
}

function durationOf({ started_at, ended_at }: OperationStep): string | undefined {
  if (!started_at || !ended_at) return undefined;
  return formatDuration(new Date(ended_at).getTime() - new Date(started_at).getTime());
}
