import { type QueryCache, useQueryClient } from "@tanstack/react-query";
import { useCallback, useSyncExternalStore } from "react";
import { useTranslation } from "react-i18next";
import { asApiError } from "#/api/problem";
import { formatClock } from "#/lib/format";
import css from "./shell.module.css";

/**
 * Says that what is shown is no longer looked after. A page keeps its figures when the server goes
 * away, and figures that stand still without a word are believed.
 */
export function Away() {
  const { t } = useTranslation();
  const cache = useQueryClient().getQueryCache();
  const subscribe = useCallback((changed: () => void) => cache.subscribe(changed), [cache]);
  const since = useSyncExternalStore(subscribe, () => staleSince(cache));
  if (since === undefined) return null;
  return (
    <p className={css.away} role="status">
      <strong>{t("away.title")}</strong>
      <span>{t("away.text", { at: formatClock(new Date(since).toISOString()) })}</span>
    </p>
  );
}

/** When the oldest of the figures was read that are on the page and could not be read again. */
function staleSince(cache: QueryCache): number | undefined {
  const moments = cache
    .findAll({ type: "active" })
    .filter(
      ({ state }) =>
        state.data !== undefined && state.status === "error" && asApiError(state.error).isTransient,
    )
    .map(({ state }) => state.dataUpdatedAt);
  return moments.length === 0 ? undefined : Math.min(...moments);
}
