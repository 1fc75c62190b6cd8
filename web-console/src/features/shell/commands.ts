export type Command = {
  group: string;
  label: string;
  /** What else it is found by. */
  hint?: string;
  run: () => void;
};

/** Commands that hold every word of the text, in any order; those that begin with it come first. */
export function matchCommands(commands: readonly Command[], text: string): Command[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const rank = ({ label }: Command) => (label.toLowerCase().startsWith(words[0] ?? "") ? 0 : 1);
  return commands
    .filter(({ group, label, hint }) => {
      const searched = `${group} ${label} ${hint ?? ""}`.toLowerCase();
      return words.every((word) => searched.includes(word));
    })
    .sort((one, other) => rank(one) - rank(other));
}
