import { useQuery } from "@tanstack/react-query";
import { Fragment, useState } from "react";
import { useTranslation } from "react-i18next";
import { queries } from "#/api/queries";
import type { InvoiceLine } from "#/api/types";
import { formatMoment } from "#/lib/format";
import { Bone, Loaded } from "#/ui/Loaded";
import ui from "#/ui/ui.module.css";
import { formatSoldNumber, type Meter, monthOf, soldOf } from "../usage/meters";
import css from "./billing.module.css";
import { HourSamples } from "./HourSamples";
import { formatSold } from "./money";

export type LineUsage = NonNullable<InvoiceLine["usage"]>;

type Part = { databaseId: string; line: InvoiceLine; usage: LineUsage };

/**
 * The hours that one database's part of a line is made of: as they were billed, or of a draft as
 * they were counted so far. Each opens into what nodes said.
 */
export function InvoiceHours({ invoiceId, ...part }: Part & { invoiceId: string | undefined }) {
  return invoiceId === undefined ? (
    <CountedHours {...part} />
  ) : (
    <BilledHours invoiceId={invoiceId} {...part} />
  );
}

function BilledHours({ databaseId, line, usage, invoiceId }: Part & { invoiceId: string }) {
  const query = useQuery(queries.lineHours(invoiceId, line.position, databaseId));
  return (
    <Loaded query={query} skeleton={<Bone height={120} />}>
      {({ items }) => {
        const hours = items.map(({ start, used }) => ({
          start,
          amount: formatSold(used, usage.counted_per_sold),
        }));
        return <Hours databaseId={databaseId} meter={usage.meter} hours={hours} />;
      }}
    </Loaded>
  );
}

function CountedHours({ databaseId, line, usage: { meter } }: Part) {
  const query = useQuery(queries.usageByHour(databaseId, line.from, line.to));
  const month = monthOf(new Date(line.from));
  return (
    <Loaded query={query} skeleton={<Bone height={120} />}>
      {({ items }) => {
        const used = items.filter((item) => soldOf(meter, item, month) > 0);
        const hours = used.map((item) => ({
          start: item.start,
          amount: formatSoldNumber(soldOf(meter, item, month)),
        }));
        return <Hours databaseId={databaseId} meter={meter} hours={hours} />;
      }}
    </Loaded>
  );
}

function Hours({
  databaseId,
  meter,
  hours,
}: {
  databaseId: string;
  meter: Meter;
  hours: { start: string; amount: string }[];
}) {
  const { t } = useTranslation();
  const [open, setOpen] = useState<string>();
  if (hours.length === 0) return <p className="muted">{t("invoice.noHours")}</p>;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reachable by keyboard
    <section className={css.hours} tabIndex={0} aria-label={t("invoice.hours")}>
      <table className={ui.table}>
        <thead>
          <tr>
            <th scope="col">{t("invoice.hour")}</th>
            <th scope="col" className={css.number}>
              {t(`sold.${meter}`)}
            </th>
          </tr>
        </thead>
        <tbody>
          {hours.map(({ start, amount }) => (
            <Fragment key={start}>
              <tr>
                <td>
                  <button
                    type="button"
                    className={css.open}
                    aria-expanded={open === start}
                    onClick={() => setOpen(open === start ? undefined : start)}
                  >
                    {formatMoment(start)}
                  </button>
                </td>
                <td className={css.number}>{amount}</td>
              </tr>
              {open === start ? (
                <tr>
                  <td colSpan={2}>
                    <HourSamples databaseId={databaseId} hour={start} meter={meter} />
                  </td>
                </tr>
              ) : null}
            </Fragment>
          ))}
        </tbody>
      </table>
    </section>
  );
}
