import { type InfiniteData, useQuery, useQueryClient } from "@tanstack/react-query";
import { type Asked, itemsOf, type Page } from "./queries";

/** Most pages that are read of one list. */
const PAGES_MAX = 10;

/** A list that is read page by page. */
type List<Item> = {
  queryKey: readonly string[];
  queryFn: (asked: Asked) => Promise<Page & { items: Item[] }>;
};

async function wholeOf<Item>({ queryFn }: List<Item>, signal: AbortSignal): Promise<Item[]> {
  const all: Item[] = [];
  let pageParam: string | undefined;
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const { items, next_cursor } = await queryFn({ pageParam, signal });
    all.push(...items);
    if (next_cursor === null) break;
    pageParam = next_cursor;
  }
  return all;
}

/**
 * What a list holds up to its end, for where something is looked for in it. Until that is read, it
 * is what pages that show the list have read of it; nothing where there is none.
 */
export function useWhole<Item>(
  list: List<Item>,
  options: { gcTime?: number; refetchInterval?: number } = {},
): { items: Item[] | undefined; isFetched: boolean } {
  const client = useQueryClient();
  const { data, isFetched } = useQuery({
    // A key of its own: what is kept under the list's is pages.
    queryKey: [...list.queryKey, "whole"],
    queryFn: ({ signal }) => wholeOf(list, signal),
    ...options,
  });
  const shown = client.getQueryData<InfiniteData<{ items: Item[] }>>(list.queryKey);
  return { items: data ?? (shown && itemsOf(shown)), isFetched };
}
