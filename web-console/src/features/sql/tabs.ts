import { uuid } from "#/lib/uuid";

export type Tab = { id: string; title: string; sql: string };
export type Tabs = { tabs: readonly Tab[]; activeId: string };

export type TabAction =
  | { type: "open"; title: string }
  | { type: "close"; id: string; title: string }
  | { type: "choose"; id: string }
  | { type: "edit"; id: string; sql: string };

export function emptyTabs(title: string): Tabs {
  const tab = { id: uuid(), title, sql: "" };
  return { tabs: [tab], activeId: tab.id };
}

export function changeTabs(state: Tabs, action: TabAction): Tabs {
  switch (action.type) {
    case "open": {
      const tab = { id: uuid(), title: nextTitle(state.tabs, action.title), sql: "" };
      return { tabs: [...state.tabs, tab], activeId: tab.id };
    }
    case "close": {
      const index = state.tabs.findIndex(({ id }) => id === action.id);
      const tabs = state.tabs.filter(({ id }) => id !== action.id);
      const neighbor = tabs[Math.min(index, tabs.length - 1)];
      if (neighbor === undefined) return emptyTabs(action.title);
      return { tabs, activeId: state.activeId === action.id ? neighbor.id : state.activeId };
    }
    case "choose":
      return { ...state, activeId: action.id };
    case "edit":
      return {
        ...state,
        tabs: state.tabs.map((tab) => (tab.id === action.id ? { ...tab, sql: action.sql } : tab)),
      };
  }
}

function nextTitle(tabs: readonly Tab[], title: string): string {
  const taken = new Set(tabs.map((tab) => tab.title));
  for (let number = 2; ; number += 1) {
    const candidate = `${title} ${number}`;
    if (!taken.has(candidate)) return candidate;
  }
}

export function isTabs(value: unknown): value is Tabs {
  if (typeof value !== "object" || value === null) return false;
  const { tabs, activeId } = value as Partial<Tabs>;
  return (
    Array.isArray(tabs) &&
    tabs.every(
      (tab) =>
        typeof tab?.id === "string" && typeof tab.title === "string" && typeof tab.sql === "string",
    ) &&
    tabs.some(({ id }) => id === activeId)
  );
}

/** What the list shows for a tab: its first words, or its number while it is empty. */
export function tabLabel({ title, sql }: Tab): string {
  const words = sql
    .slice(0, 200)
    .replace(/--[^\n]*/g, " ")
    .trim()
    .replace(/\s+/g, " ");
  return words === "" ? title : words.slice(0, 32);
}
