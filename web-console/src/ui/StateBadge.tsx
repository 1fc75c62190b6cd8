import { useTranslation } from "react-i18next";
import type { DatabaseState } from "#/api/types";
import css from "./ui.module.css";

const TONES: Record<DatabaseState, { tone: "good" | "warm" | "calm" | "bad"; moving: boolean }> = {
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
  return (
    <span className={`${css.state} ${css[tone]} ${moving ? css.moving : ""}`}>
      <span className={css.dot} />
      {t(`state.${state}`)}
    </span>
  );
}
