import { type ReactNode, useEffect } from "react";
import css from "./Page.module.css";

/** Names the browser's tab while a page is shown. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · LumaDB Cloud`;
  }, [title]);
}

export function Page({
  title,
  lead,
  actions,
  narrow = false,
  children,
}: {
  title: string;
  lead?: ReactNode;
  actions?: ReactNode;
  narrow?: boolean;
  children: ReactNode;
}) {
  useTitle(title);
  return (
    <div className={narrow ? `${css.page} ${css.narrow}` : css.page}>
      <header className={css.header}>
        <div className={css.headerText}>
          <h1>{title}</h1>
          {lead === undefined ? null : <p>{lead}</p>}
        </div>
        {actions}
      </header>
      {children}
    </div>
  );
}
