import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { asApiError } from "#/api/problem";
import { queries } from "#/api/queries";
import type { Invoice } from "#/api/types";
import { formatDay, formatMonth } from "#/lib/format";
import { Bone, Loaded } from "#/ui/Loaded";
import { Page } from "#/ui/Page";
import { Panel } from "#/ui/Panel";
import ui from "#/ui/ui.module.css";
import { Lost } from "../shell/Lost";
import { InvoiceLines } from "./InvoiceLines";
import { InvoiceState } from "./InvoiceState";
import { formatCents } from "./money";

/** An invoice: what it is over, and what every line of it is made of. */
export function InvoicePage({ invoiceId }: { invoiceId: string }) {
  const { t } = useTranslation();
  const query = useQuery(queries.invoice(invoiceId));
  if (query.isError && asApiError(query.error).status === 404) return <Lost />;
  return (
    <Page
      title={query.data?.number ?? t("invoice.invoice")}
      lead={<Link to="/billing">{t("billing.title")}</Link>}
      actions={
        query.data === undefined ? null : (
          <div className="row">
            <Button
              variant="default"
              component="a"
              href={`/v1/invoices/${invoiceId}/document.html`}
              target="_blank"
              rel="noopener"
            >
              {t("invoice.open")}
            </Button>
            <Button component="a" href={`/v1/invoices/${invoiceId}/document.pdf`} download>
              {t("invoice.pdf")}
            </Button>
          </div>
        )
      }
    >
      <Loaded
        query={query}
        skeleton={
          <div className="stack">
            <Bone height={110} panel />
            <Bone height={280} panel />
          </div>
        }
      >
        {(invoice) => (
          <div className="stack">
            <Head invoice={invoice} />
            <InvoiceLines invoice={invoice} id={invoiceId} />
          </div>
        )}
      </Loaded>
    </Page>
  );
}

function Head({ invoice }: { invoice: Invoice }) {
  const { t } = useTranslation();
  const facts: [string, string][] = [
    [t("invoice.total"), formatCents(invoice.total_cents)],
    [t("invoice.outstanding"), formatCents(invoice.outstanding_cents)],
    [t("invoice.issued"), formatDay(invoice.issued_at)],
    [t("invoice.due"), formatDay(invoice.due_at)],
    [t("invoice.to"), invoice.customer_name],
  ];
  return (
    <Panel
      title={t(`invoice.kind.${invoice.kind}`, {
        month: formatMonth(`${invoice.period}-01T00:00:00Z`),
      })}
      actions={<InvoiceState state={invoice.state} />}
    >
      <dl className={ui.facts}>
        {facts.map(([term, value]) => (
          <div key={term}>
            <dt>{term}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </Panel>
  );
}
