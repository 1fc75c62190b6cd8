import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { queries } from "#/api/queries";
import type { BillingAccount } from "#/api/types";
import { formatDay } from "#/lib/format";
import { Bone, Loaded } from "#/ui/Loaded";
import { Page } from "#/ui/Page";
import { Panel } from "#/ui/Panel";
import ui from "#/ui/ui.module.css";
import { useScope } from "../shell/useScope";
import { LimitNotices } from "../usage/LimitNotices";
import { AddressSetting } from "./AddressSetting";
import { BudgetSetting } from "./BudgetSetting";
import { CapSetting } from "./CapSetting";
import { CardPanel } from "./CardPanel";
import { RunningMonth } from "./Draft";
import { InvoiceList } from "./InvoiceList";
import { formatCents } from "./money";
import { OpenChange } from "./OpenChange";

/** What the organization is on, what it owes and what it set against surprises. */
export function BillingPage() {
  const { t } = useTranslation();
  const { organization } = useScope();
  const query = useQuery(queries.billing(organization.id));
  return (
    <Page title={t("billing.title")} lead={t("billing.lead")}>
      <Loaded
        query={query}
        skeleton={
          <div className="stack">
            <Bone height={150} panel />
            <Bone height={220} panel />
          </div>
        }
      >
        {(account) => (
          <div className="stack">
            <Standing account={account} />
            <LimitNotices />
            <OpenChange />
            <RunningMonth />
            <CurrentPlan account={account} />
            {account.collection === "stripe" ? (
              <CardPanel organizationId={organization.id} />
            ) : null}
            <InvoiceList organizationId={organization.id} />
            <CapSetting account={account} />
            <BudgetSetting account={account} />
            <AddressSetting account={account} />
          </div>
        )}
      </Loaded>
    </Page>
  );
}

/** Said before all else: an invoice is not paid. */
function Standing({ account }: { account: BillingAccount }) {
  const { t } = useTranslation();
  if (account.standing === "good") return null;
  return (
    <p className={`${ui.note} ${ui.bad}`} role="status">
      {t(`billing.standing.${account.standing}`, { since: formatDay(account.standing_since) })}
    </p>
  );
}

function CurrentPlan({ account }: { account: BillingAccount }) {
  const { t } = useTranslation();
  const plans = useQuery(queries.plans());
  return (
    <Panel
      title={t("billing.plan")}
      lead={t(`billing.collection.${account.collection}`)}
      actions={
        <Button
          size="sm"
          variant="default"
          renderRoot={(props) => <Link to="/billing/plan" {...props} />}
        >
          {t("plan.compare")}
        </Button>
      }
    >
      <Loaded query={plans} skeleton={<Bone height={44} />}>
        {({ items }) => {
          const plan = items.find(({ id }) => id === account.plan_id);
          return (
            <dl className={ui.facts}>
              <div>
                <dt>{t("overview.plan")}</dt>
                <dd>{plan?.display_name ?? account.plan_id}</dd>
              </div>
              <div>
                <dt>{t("plan.fee")}</dt>
                <dd>
                  {plan?.fee_cents === null || plan?.fee_cents === undefined
                    ? t("plan.agreed")
                    : t("plan.aMonth", { amount: formatCents(plan.fee_cents) })}
                </dd>
              </div>
              <div>
                <dt>{t("billing.cap")}</dt>
                <dd>
                  {account.spend_cap_cents === null
                    ? t("billing.noCap")
                    : t("plan.aMonth", { amount: formatCents(account.spend_cap_cents) })}
                </dd>
              </div>
            </dl>
          );
        }}
      </Loaded>
    </Panel>
  );
}
