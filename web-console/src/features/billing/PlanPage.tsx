import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { lazy, Suspense, useState } from "react";
import { useTranslation } from "react-i18next";
import { queries } from "#/api/queries";
import type { Plan, Price } from "#/api/types";
import { formatCompute } from "#/lib/format";
import { Bone, Loaded } from "#/ui/Loaded";
import { Page } from "#/ui/Page";
import { Panel } from "#/ui/Panel";
import ui from "#/ui/ui.module.css";
import { useScope } from "../shell/useScope";
import { formatSoldNumber } from "../usage/meters";
import css from "./billing.module.css";
import { formatCents, formatPrice } from "./money";
import { OpenChange } from "./OpenChange";

const PlanChangeDialog = lazy(() => import("./PlanChangeDialog"));

/** Every plan beside the others. */
export function PlanPage() {
  const { t } = useTranslation();
  const { organization } = useScope();
  const query = useQuery(queries.plans());
  const [chosen, setChosen] = useState<Plan>();
  return (
    <Page title={t("plan.title")} lead={<Link to="/billing">{t("billing.title")}</Link>}>
      <Loaded query={query} skeleton={<Bone height={320} panel />}>
        {({ items, prices }) => (
          <div className="stack">
            <OpenChange />
            <ul className={css.plans}>
              {items.map((plan) => (
                <PlanCard
                  key={plan.id}
                  plan={plan}
                  isCurrent={plan.id === organization.plan_id}
                  onChoose={() => setChosen(plan)}
                />
              ))}
            </ul>
            <Prices prices={prices} />
          </div>
        )}
      </Loaded>
      {chosen === undefined ? null : (
        <Suspense>
          <PlanChangeDialog plan={chosen} onClose={() => setChosen(undefined)} />
        </Suspense>
      )}
    </Page>
  );
}

function PlanCard({
  plan,
  isCurrent,
  onChoose,
}: {
  plan: Plan;
  isCurrent: boolean;
  onChoose: () => void;
}) {
  const { t } = useTranslation();
  return (
    <li className={css.plan} data-current={isCurrent || undefined}>
      <div className="between">
        <h2>{plan.display_name}</h2>
        {isCurrent ? <span className={ui.tag}>{t("plan.current")}</span> : null}
      </div>
      <p className={css.fee}>
        {plan.fee_cents === null ? t("plan.agreed") : formatCents(plan.fee_cents)}
        {plan.fee_cents === null ? null : <small>{t("plan.month")}</small>}
      </p>
      <ul className={css.has}>
        <li>{t(`plan.usage.${plan.usage}`)}</li>
        {plan.included.map((amount) => (
          <li key={amount.meter}>
            <Amount amount={amount} />
          </li>
        ))}
        {plan.limits.map((amount) => (
          <li key={amount.meter}>
            <Amount amount={amount} />
          </li>
        ))}
        <li>
          {typeof plan.databases_max === "number"
            ? t("plan.databases", { count: plan.databases_max })
            : t("plan.databasesAny")}
        </li>
        <li>
          {typeof plan.compute_milli_vcpu_max === "number"
            ? t("plan.largest", { size: formatCompute(plan.compute_milli_vcpu_max) })
            : t("plan.largestAny")}
        </li>
        <li>{t("plan.window", { count: plan.restore_window_days_max })}</li>
      </ul>
      {isCurrent || plan.fee_cents === null ? null : (
        <Button variant="default" onClick={onChoose}>
          {t("plan.choose", { plan: plan.display_name })}
        </Button>
      )}
    </li>
  );
}

/** In the words of the price list: 100 GB, 1 vCPU all month, 10 million requests a day. */
function Amount({ amount: { meter, amount, per } }: { amount: Plan["included"][number] }) {
  const { t } = useTranslation();
  const size =
    meter === "storage" || meter === "transfer_out"
      ? `${formatSoldNumber(amount / 1_000_000_000)} GB`
      : meter === "compute"
        ? formatCompute(amount)
        : new Intl.NumberFormat("en-US", { notation: "compact" }).format(amount);
  return <>{t(`plan.amount.${per}`, { size, meter: t(`meter.${meter}`).toLowerCase() })}</>;
}

function Prices({ prices }: { prices: readonly Price[] }) {
  const { t } = useTranslation();
  return (
    <Panel title={t("plan.prices")} lead={t("plan.pricesLead")}>
      <dl className={ui.facts}>
        {prices.map(({ meter, price, sold_in }) => (
          <div key={meter}>
            <dt>{t(`meter.${meter}`)}</dt>
            <dd>{t("plan.per", { price: formatPrice(price), unit: sold_in })}</dd>
          </div>
        ))}
      </dl>
    </Panel>
  );
}
