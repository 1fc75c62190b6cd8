import { useTranslation } from "react-i18next";
import type { DatabaseState } from "#/api/types";
import { State, type Tone } from "./State";

const TONES: Record<DatabaseState, { tone: Tone; moving: boolean }> = {
  pending: { tone: "warm", moving: true },
  running: { tone: "good", moving: false },
  asleep: { tone: "calm", moving: false },
  suspended: { tone: "calm", moving: false },
  deleting: { tone: "bad", moving: true },
  failed: { tone: "bad", moving: false },
};

export function StateBadge({ state }: { state: DatabaseState }) {
  const { t } = useTranslation();
  const { tone, moving } = TONES[state];
  return <State tone={tone} moving={moving} label={t(`state.${state}`)} />;
}
