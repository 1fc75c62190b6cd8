import { Fragment, useState } from "react";
import { useTranslation } from "react-i18next";
import type { Invoice, InvoiceLine } from "#/api/types";
import { Panel } from "#/ui/Panel";
import ui from "#/ui/ui.module.css";
import css from "./billing.module.css";
import { InvoiceHours, type LineUsage } from "./InvoiceHours";
import { formatCents, formatPrice, formatSold, formatSpan } from "./money";
import { usePlanName } from "./usePlanName";

/** What the lines and the totals need of an invoice; a draft has it too. */
export type Billed = Pick<Invoice, "lines" | "databases" | "tax"> &
  Pick<Invoice, "lines_cents" | "credits_cents" | "net_cents" | "tax_cents" | "total_cents">;

/** What databases are called, by their identifiers. */
type Names = ReadonlyMap<string, string>;

export function InvoiceLines({ invoice, id }: { invoice: Billed; id?: string }) {
  const { t } = useTranslation();
  const names: Names = new Map(invoice.databases.map(({ id: of, name }) => [of, name]));
  return (
    <Panel title={t("invoice.lines")} lead={t("invoice.linesLead")} flush>
      {invoice.lines.length === 0 ? (
        <p className="muted" style={{ padding: "10px 20px 0" }}>
          {t("invoice.noLines")}
        </p>
      ) : (
        <div className={ui.tableWrap}>
          <table className={ui.table}>
            <thead>
              <tr>
                <th scope="col">{t("invoice.for")}</th>
                <th scope="col" className={`${css.number} ${ui.spare}`}>
                  {t("invoice.quantity")}
                </th>
                <th scope="col" className={`${css.number} ${ui.spare}`}>
                  {t("invoice.unitPrice")}
                </th>
                <th scope="col" className={css.number}>
                  {t("invoice.amount")}
                </th>
              </tr>
            </thead>
            <tbody>
              {invoice.lines.map((line) => (
                <Line key={line.position} line={line} names={names} invoiceId={id} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      <Totals invoice={invoice} />
    </Panel>
  );
}

function Line({
  line,
  names,
  invoiceId,
}: {
  line: InvoiceLine;
  names: Names;
  invoiceId: string | undefined;
}) {
  const { t } = useTranslation();
  const planName = usePlanName();
  const [open, setOpen] = useState(false);
  const { usage } = line;
  const title =
    usage === null || usage === undefined
      ? t(`invoice.lineKind.${line.kind}`, { plan: planName(line.plan_id) })
      : t(`meter.${usage.meter}`);
  const corrects = line.corrects ? t("invoice.corrects", { month: line.corrects }) : undefined;
  return (
    <>
      <tr className={css.line}>
        <td>
          {usage ? (
            <button
              type="button"
              className={css.open}
              aria-expanded={open}
              onClick={() => setOpen(!open)}
            >
              {title}
            </button>
          ) : (
            <span style={{ fontWeight: 520 }}>{title}</span>
          )}
          <span className={css.sub}>
            {corrects === undefined ? null : <>{corrects} · </>}
            {usage ? `${planName(line.plan_id)} · ` : null}
            {formatSpan(line.from, line.to)}
          </span>
          {usage && usage.included !== "0" ? (
            <span className={css.sub}>
              {t("invoice.usedIncluded", {
                used: formatSold(usage.used, usage.counted_per_sold),
                included: formatSold(usage.included, usage.counted_per_sold),
              })}
            </span>
          ) : null}
        </td>
        <td className={`${css.number} ${ui.spare}`}>
          {usage
            ? `${formatSold(usage.billed, usage.counted_per_sold)} ${t(`sold.${usage.meter}`)}`
            : null}
        </td>
        <td className={`${css.number} ${ui.spare}`}>
          {usage ? formatPrice(usage.unit_price) : null}
        </td>
        <td className={css.number}>{formatCents(line.amount_cents)}</td>
      </tr>
      {open && usage ? (
        <Shares line={line} usage={usage} names={names} invoiceId={invoiceId} />
      ) : null}
    </>
  );
}

function Shares({
  line,
  usage,
  names,
  invoiceId,
}: {
  line: InvoiceLine;
  usage: LineUsage;
  names: Names;
  invoiceId: string | undefined;
}) {
  const { t } = useTranslation();
  const [hoursOf, setHoursOf] = useState<string>();
  return (
    <>
      {usage.shares.map((share) => (
        <Fragment key={share.database_id}>
          <tr className={css.inner}>
            <td>
              <button
                type="button"
                className={css.open}
                aria-expanded={hoursOf === share.database_id}
                onClick={() =>
                  setHoursOf(hoursOf === share.database_id ? undefined : share.database_id)
                }
              >
                {names.get(share.database_id) ?? share.database_id}
              </button>
              <span className={css.sub}>
                {t("invoice.used", { used: formatSold(share.used, usage.counted_per_sold) })}
              </span>
            </td>
            <td className={`${css.number} ${ui.spare}`}>
              {formatSold(share.billed, usage.counted_per_sold)}
            </td>
            <td className={ui.spare} />
            <td className={css.number}>{formatCents(share.amount_cents)}</td>
          </tr>
          {hoursOf === share.database_id ? (
            <tr className={css.inner}>
              <td colSpan={4}>
                <InvoiceHours
                  databaseId={share.database_id}
                  line={line}
                  usage={usage}
                  invoiceId={invoiceId}
                />
              </td>
            </tr>
          ) : null}
        </Fragment>
      ))}
    </>
  );
}

function Totals({ invoice }: { invoice: Billed }) {
  const { t } = useTranslation();
  const rows: [string, number][] = [[t("invoice.sum"), invoice.lines_cents]];
  if (invoice.credits_cents !== 0) {
    rows.push(
      [t("invoice.credits"), -invoice.credits_cents],
      [t("invoice.net"), invoice.net_cents],
    );
  }
  if (invoice.tax.kind === "rate") {
    const percent = `${invoice.tax.rate_ppm / 10_000} %`;
    rows.push([`${invoice.tax.name} ${percent}`, invoice.tax_cents]);
  } else if (invoice.tax.kind === "reverse_charge") {
    rows.push([t("invoice.reverseCharge"), 0]);
  }
  return (
    <dl className={css.sums}>
      {rows.map(([label, cents]) => (
        <Fragment key={label}>
          <dt>{label}</dt>
          <dd>{formatCents(cents)}</dd>
        </Fragment>
      ))}
      <dt className={css.total}>{t("invoice.total")}</dt>
      <dd className={css.total}>{formatCents(invoice.total_cents)}</dd>
    </dl>
  );
}
