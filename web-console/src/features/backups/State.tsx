import ui from "#/ui/ui.module.css";

/** A dot and a word: how something stands. */
export function State({
  tone,
  moving,
  label,
}: {
  tone: "calm" | "warm" | "good" | "bad";
  moving: boolean;
  label: string;
}) {
  return (
    <span className={`${ui.state} ${ui[tone]} ${moving ? ui.moving : ""}`}>
      <span className={ui.dot} />
      {label}
    </span>
  );
}
