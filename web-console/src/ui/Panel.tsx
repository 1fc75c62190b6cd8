import { type ReactNode, useId } from "react";
import css from "./Panel.module.css";

/** A titled part of a page. */
export function Panel({
  title,
  lead,
  actions,
  danger = false,
  flush = false,
  children,
}: {
  title?: string;
  lead?: ReactNode;
  actions?: ReactNode;
  danger?: boolean;
  /** Whether the content reaches the edges, as tables do. */
  flush?: boolean;
  children: ReactNode;
}) {
  const heading = useId();
  return (
    <section
      className={danger ? `${css.panel} ${css.danger}` : css.panel}
      aria-labelledby={title === undefined ? undefined : heading}
    >
      {title === undefined ? null : (
        <div className={css.panelHead}>
          <div>
            <h2 id={heading}>{title}</h2>
            {lead === undefined ? null : <p>{lead}</p>}
          </div>
          {actions}
        </div>
      )}
      <div
        className={flush ? undefined : css.panelBody}
        style={flush ? { paddingTop: title ? 10 : 0 } : undefined}
      >
        {children}
      </div>
    </section>
  );
}
