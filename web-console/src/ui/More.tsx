import { Button } from "@mantine/core";
import type { UseInfiniteQueryResult } from "@tanstack/react-query";
import { Failure } from "./Failure";

/** The way to the next page of a list, under what was read of it; nothing under the last one. */
export function More({
  query,
  label,
  size = "sm",
  flush = false,
}: {
  query: UseInfiniteQueryResult<unknown, unknown>;
  label: string;
  size?: "xs" | "sm";
  /** Whether it stands in a panel whose content reaches the edges. */
  flush?: boolean;
}) {
  const style = flush ? { padding: "0 20px 16px" } : undefined;
  return (
    <>
      {query.isFetchNextPageError ? (
        <div style={style}>
          <Failure error={query.error} />
        </div>
      ) : null}
      {query.hasNextPage ? (
        <div style={style}>
          <Button
            variant="default"
            size={size}
            loading={query.isFetchingNextPage}
            onClick={() => void query.fetchNextPage()}
          >
            {label}
          </Button>
        </div>
      ) : null}
    </>
  );
}
