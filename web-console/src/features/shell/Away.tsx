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

/**
 * When the oldest of the figures was read that could not be read again; none while anything could
 * be read since, for then the server is there.
 */
function staleSince(cache: QueryCache): number | undefined {
  const shown = cache.findAll({ type: "active" }).map(({ state }) => state);
  const stale = shown.filter(
    ({ data, status, error }) =>
      data !== undefined && status === "error" && asApiError(error).isTransient,
  );
  const failedAt = Math.max(...stale.map(({ errorUpdatedAt }) => errorUpdatedAt));
  const isBack = shown.some(({ dataUpdatedAt }) => dataUpdatedAt > failedAt);
  return stale.length === 0 || isBack
    ? undefined
    : Math.min(...stale.map(({ dataUpdatedAt }) => dataUpdatedAt));
}
