import type { ReactNode } from "react";
import css from "./Empty.module.css";

/** An empty place that says what belongs there and how to begin. */
export function Empty({
  art,
  title,
  isPage = false,
  children,
  actions,
}: {
  art?: ReactNode;
  title: string;
  /** Whether this is all that the page holds. */
  isPage?: boolean;
  children?: ReactNode;
  actions?: ReactNode;
}) {
  return (
    <div className={css.empty}>
      {art}
      {isPage ? <h1>{title}</h1> : <h2>{title}</h2>}
      {children}
      {actions === undefined ? null : <div className={css.emptyActions}>{actions}</div>}
    </div>
  );
}
