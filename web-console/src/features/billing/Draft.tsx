import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { queries } from "#/api/queries";
import type { InvoiceDraft } from "#/api/types";
import { formatMonth } from "#/lib/format";
import { Bone, Loaded } from "#/ui/Loaded";
import { Page } from "#/ui/Page";
import { Panel } from "#/ui/Panel";
import ui from "#/ui/ui.module.css";
import { useScope } from "../shell/useScope";
import usage from "../usage/usage.module.css";
import css from "./billing.module.css";
import { InvoiceLines } from "./InvoiceLines";
import { formatCents } from "./money";

/** Milliseconds between looks: usage is counted, not watched. */
const REFRESH_MS = 60_000;

/** What the running month came to so far, and what it will. */
export function RunningMonth() {
  const { t } = useTranslation();
  const { organization } = useScope();
  const draft = useQuery({ ...queries.draft(organization.id), refetchInterval: REFRESH_MS });
  const forecast = useQuery({ ...queries.forecast(organization.id), refetchInterval: REFRESH_MS });
  return (
    <Panel
      title={t("billing.running")}
      lead={t("billing.runningLead")}
      actions={<Link to="/billing/draft">{t("billing.openDraft")}</Link>}
    >
      <Loaded query={draft} skeleton={<Bone height={64} />}>
        {(known) => (
          <div className="stack">
            <dl className={ui.facts}>
              <div>
                <dt>
                  {t("billing.soFar", { month: formatMonth(`${known.period}-01T00:00:00Z`) })}
                </dt>
                <dd className={css.amount}>{formatCents(usageOf(known))}</dd>
              </div>
              {forecast.data === undefined ? null : (
                <div>
                  <dt>{t("billing.forecast")}</dt>
                  <dd className={css.amount}>{formatCents(forecast.data.usage_cents)}</dd>
                </div>
              )}
              <div>
                <dt>{t("billing.next")}</dt>
                <dd className={css.amount}>{formatCents(known.total_cents)}</dd>
              </div>
            </dl>
            {known.spend_cap ? <Cap cap={known.spend_cap} /> : null}
          </div>
        )}
      </Loaded>
    </Panel>
  );
}

/** What the month's usage comes to, without the fee of the next one. */
function usageOf(draft: InvoiceDraft): number {
  return draft.lines
    .filter((line) => line.kind !== "fee")
    .reduce((cents, line) => cents + line.amount_cents, 0);
}

function Cap({ cap }: { cap: NonNullable<InvoiceDraft["spend_cap"]> }) {
  const { t } = useTranslation();
  const share = cap.cap_cents === 0 ? 1 : Math.min(cap.committed_cents / cap.cap_cents, 1);
  return (
    <div>
      <div
        className={usage.gauge}
        data-tone={share >= 1 ? "bad" : share >= 0.8 ? "warm" : "good"}
        role="img"
        aria-label={t("billing.capUsed", {
          committed: formatCents(cap.committed_cents),
          cap: formatCents(cap.cap_cents),
        })}
      >
        <span style={{ width: `${share * 100}%` }} />
      </div>
      <p className="muted">
        {t("billing.capUsed", {
          committed: formatCents(cap.committed_cents),
          cap: formatCents(cap.cap_cents),
        })}
      </p>
    </div>
  );
}

/** The invoice that the running month will have, as far as it is known. */
export function DraftPage() {
  const { t } = useTranslation();
  const { organization } = useScope();
  const query = useQuery({ ...queries.draft(organization.id), refetchInterval: REFRESH_MS });
  return (
    <Page
      title={t("billing.draft")}
      lead={
        <>
          <Link to="/billing">{t("billing.title")}</Link> · {t("billing.draftLead")}
        </>
      }
    >
      <Loaded query={query} skeleton={<Bone height={280} panel />}>
        {(draft) => <InvoiceLines invoice={draft} />}
      </Loaded>
    </Page>
  );
}
