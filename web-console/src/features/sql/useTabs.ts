import { useEffect, useReducer, useRef } from "react";
import { store, stored } from "#/lib/storage";
import { changeTabs, emptyTabs, isTabs } from "./tabs";

/** Milliseconds after the last change before tabs are written to the browser's storage. */
const SAVE_AFTER_MS = 500;

/** The editor's tabs of one database, kept in this browser. */
export function useTabs(databaseId: string, title: string) {
  const key = `luma-sql-${databaseId}`;
  const [state, dispatch] = useReducer(changeTabs, undefined, () => {
    return stored(key, isTabs) ?? emptyTabs(title);
  });
  const latest = useRef(state);
  latest.current = state;
  useEffect(() => {
    const timer = setTimeout(() => store(key, state), SAVE_AFTER_MS);
    return () => clearTimeout(timer);
  }, [key, state]);
  // What was typed last is kept too, when the page is left before the time is up.
  useEffect(() => () => store(key, latest.current), [key]);
  return [state, dispatch] as const;
}
