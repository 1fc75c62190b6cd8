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

/** The hours that one database's part of a line is made of. Each opens into what nodes said. */
export function InvoiceHours({
  databaseId,
  line,
  meter,
}: {
  databaseId: string;
  line: InvoiceLine;
  meter: Meter;
}) {
  const { t } = useTranslation();
  const [open, setOpen] = useState<string>();
  const query = useQuery(queries.usageByHour(databaseId, line.from, line.to));
  const month = monthOf(new Date(line.from));
  return (
    <Loaded query={query} skeleton={<Bone height={120} />}>
      {({ items }) => {
        const used = items.filter((item) => soldOf(meter, item, month) > 0);
        if (used.length === 0) return <p className="muted">{t("invoice.noHours")}</p>;
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
                {used.map((item) => (
                  <Fragment key={item.start}>
                    <tr>
                      <td>
                        <button
                          type="button"
                          className={css.open}
                          aria-expanded={open === item.start}
                          onClick={() => setOpen(open === item.start ? undefined : item.start)}
                        >
                          {formatMoment(item.start)}
                        </button>
                      </td>
                      <td className={css.number}>{formatSoldNumber(soldOf(meter, item, month))}</td>
                    </tr>
                    {open === item.start ? (
                      <tr>
                        <td colSpan={2}>
                          <HourSamples databaseId={databaseId} hour={item.start} meter={meter} />
                        </td>
                      </tr>
                    ) : null}
                  </Fragment>
                ))}
              </tbody>
            </table>
          </section>
        );
      }}
    </Loaded>
  );
}
