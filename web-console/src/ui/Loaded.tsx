import type { UseQueryResult } from "@tanstack/react-query";
import { type ReactNode, useRef } from "react";
import { useTranslation } from "react-i18next";
import { Failure } from "./Failure";
import css from "./Loaded.module.css";

/** A gray shape in the place of what is still being read. */
export function Bone({
  width = "100%",
  height = 16,
  panel = false,
}: {
  width?: number | string;
  height?: number;
  /** Whether it stands for a whole panel; it then looks like one that is empty. */
  panel?: boolean;
}) {
  const look = panel ? `${css.bone} ${css.bonePanel}` : css.bone;
  return <span className={look} style={{ width, height }} aria-hidden="true" />;
}

/** In the place of a list that fills a panel. */
export function BoneRows() {
  return (
    <div style={{ padding: 20 }}>
      <Bone height={60} />
    </div>
  );
}

/**
 * What was read, a skeleton while it is read for the first time, or the error with a way to try
 * again. There is no fourth state: a skeleton always ends in one of the other two.
 */
export function Loaded<Data>({
  query,
  skeleton,
  children,
}: {
  query: UseQueryResult<Data, unknown>;
  skeleton: ReactNode;
  children: (data: Data) => ReactNode;
}) {
  // Stays while it is tried again: a page that is asked for every few seconds would flicker.
  const failed = useRef<unknown>(undefined);
  if (query.data !== undefined) return children(query.data);
  if (query.isError) failed.current = query.error;
  if (failed.current !== undefined) {
    return (
      <Failure
        error={failed.current}
        isRetrying={query.isFetching}
        onRetry={() => void query.refetch()}
      />
    );
  }
  return <Loading>{skeleton}</Loading>;
}

/** Says to voices what gray shapes say to eyes. */
export function Loading({ children }: { children: ReactNode }) {
  const { t } = useTranslation();
  return (
    <div role="status" aria-label={t("loading")}>
      {children}
    </div>
  );
}
