import css from "./ui.module.css";

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
    <span className={`${css.state} ${css[tone]} ${moving ? css.moving : ""}`}>
      <span className={css.dot} />
      {label}
    </span>
  );
}
