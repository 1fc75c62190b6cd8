import { useTranslation } from "react-i18next";
import type { InvoiceSummary } from "#/api/types";
import ui from "#/ui/ui.module.css";

type State = InvoiceSummary["state"];

const TONES: Record<State, "good" | "warm" | "calm" | "bad"> = {
  draft: "calm",
  final: "warm",
  paid: "good",
  overdue: "bad",
  void: "calm",
};

export function InvoiceState({ state }: { state: State }) {
  const { t } = useTranslation();
  return (
    <span className={`${ui.state} ${ui[TONES[state]]}`}>
      <span className={ui.dot} />
      {t(`invoice.state.${state}`)}
    </span>
  );
}
