import { Button } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { itemsOf, queries } from "#/api/queries";
import type { InvoiceSummary } from "#/api/types";
import { formatDay, formatMonth } from "#/lib/format";
import { BoneRows, Loaded } from "#/ui/Loaded";
import { More } from "#/ui/More";
import { Panel } from "#/ui/Panel";
import ui from "#/ui/ui.module.css";
import css from "./billing.module.css";
import { InvoiceState } from "./InvoiceState";
import { formatCents } from "./money";

/** Every invoice, the newest first. */
export function InvoiceList({ organizationId }: { organizationId: string }) {
  const { t } = useTranslation();
  const query = useInfiniteQuery(queries.invoices(organizationId));
  return (
    <Panel
      title={t("invoice.list")}
      lead={t("invoice.listLead")}
      flush
      actions={
        <Button
          size="sm"
          variant="default"
          component="a"
          href={`/v1/organizations/${organizationId}/cost-export`}
          download
        >
          {t("invoice.costs")}
        </Button>
      }
    >
      <Loaded query={query} skeleton={<BoneRows />}>
        {(read) => <Rows invoices={itemsOf(read)} />}
      </Loaded>
      <More query={query} label={t("older")} flush />
    </Panel>
  );
}

function Rows({ invoices }: { invoices: readonly InvoiceSummary[] }) {
  const { t } = useTranslation();
  if (invoices.length === 0) {
    return (
      <p className="muted" style={{ padding: 20 }}>
        {t("invoice.none")}
      </p>
    );
  }
  return (
    <div className={ui.tableWrap}>
      <table className={ui.table}>
        <thead>
          <tr>
            <th scope="col">{t("invoice.invoice")}</th>
            <th scope="col" className={ui.spare}>
              {t("invoice.issued")}
            </th>
            <th scope="col">{t("invoice.stateLabel")}</th>
            <th scope="col" className={css.number}>
              {t("invoice.total")}
            </th>
          </tr>
        </thead>
        <tbody>
          {invoices.map((invoice) => (
            <tr key={invoice.id}>
              <td>
                <Link to="/billing/invoices/$invoiceId" params={{ invoiceId: invoice.id }}>
                  {invoice.number}
                </Link>
                <span className={css.sub}>
                  {t(`invoice.kind.${invoice.kind}`, {
                    month: formatMonth(`${invoice.period}-01T00:00:00Z`),
                  })}
                </span>
              </td>
              <td className={`muted nowrap ${ui.spare}`}>{formatDay(invoice.issued_at)}</td>
              <td>
                <InvoiceState state={invoice.state} />
              </td>
              <td className={css.number}>{formatCents(invoice.total_cents)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
