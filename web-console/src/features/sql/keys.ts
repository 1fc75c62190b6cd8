/** What runs a query, as it is written on the keyboard at hand. */
export const RUN_KEYS = /Mac|iPhone|iPad/.test(globalThis.navigator?.platform ?? "")
  ? "⌘↵"
  : "Ctrl ↵";
