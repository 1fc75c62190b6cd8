import { useTranslation } from "react-i18next";
import type { DatabaseState } from "#/api/types";
import css from "./State.module.css";
import ui from "./ui.module.css";

export type Tone = "calm" | "warm" | "good" | "bad";

/** A dot and a word: how something stands. */
export function State({
  tone,
  moving = false,
  label,
}: {
  tone: Tone;
  /** Whether it is on its way to another state. */
  moving?: boolean;
  label: string;
}) {
  return (
    <span className={`${css.state} ${ui[tone]} ${moving ? css.moving : ""}`}>
      <span className={css.dot} />
      {label}
    </span>
  );
}

const TONES: Record<DatabaseState, { tone: Tone; moving: boolean }> = {
  pending: { tone: "warm", moving: true },
  running: { tone: "good", moving: false },
  asleep: { tone: "calm", moving: false },
  suspended: { tone: "calm", moving: false },
  deleting: { tone: "bad", moving: true },
  failed: { tone: "bad", moving: false },
};

/** How a database stands. */
export function StateBadge({ state }: { state: DatabaseState }) {
  const { t } = useTranslation();
  const { tone, moving } = TONES[state];
  return <State tone={tone} moving={moving} label={t(`state.${state}`)} />;
}
