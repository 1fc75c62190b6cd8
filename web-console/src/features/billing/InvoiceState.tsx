import { useTranslation } from "react-i18next";
import type { InvoiceSummary } from "#/api/types";
import { State, type Tone } from "#/ui/State";

const TONES: Record<InvoiceSummary["state"], Tone> = {
  draft: "calm",
  final: "warm",
  paid: "good",
  overdue: "bad",
  void: "calm",
};

export function InvoiceState({ state }: Pick<InvoiceSummary, "state">) {
  const { t } = useTranslation();
  return <State tone={TONES[state]} label={t(`invoice.state.${state}`)} />;
}
