import { Button, Modal } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { $api } from "#/api/client";
import { billingChanged, queries } from "#/api/queries";
import type { ChangeQuote, Plan } from "#/api/types";
import { formatCompute, formatDay } from "#/lib/format";
import { Failure } from "#/ui/Failure";
import { Bone, Loaded } from "#/ui/Loaded";
import { notifyDone } from "#/ui/notify";
import ui from "#/ui/ui.module.css";
import { useScope } from "../shell/useScope";
import { formatCents } from "./money";

/** What a change of plan costs and what stands in its way, before it is made. */
export default function PlanChangeDialog({ plan, onClose }: { plan: Plan; onClose: () => void }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const { organization } = useScope();
  const quote = useQuery(queries.planQuote(organization.id, plan.id));
  const change = $api.useMutation("post", "/v1/organizations/{organization_id}/plan-changes", {
    onSuccess: async (answer) => {
      if (!("plan_change" in answer)) return;
      const { state, effective_at } = answer.plan_change;
      await billingChanged(client);
      onClose();
      if (state === "done") notifyDone(t("plan.changed", { plan: plan.display_name }));
      if (state === "scheduled" && effective_at) {
        notifyDone(t("plan.scheduled", { plan: plan.display_name, day: formatDay(effective_at) }));
      }
    },
  });
  return (
    <Modal
      opened
      onClose={onClose}
      title={t("plan.changeTitle", { plan: plan.display_name })}
      size="md"
    >
      <Loaded query={quote} skeleton={<Bone height={150} />}>
        {(known) => (
          <div className="stack">
            <Monthly quote={known} />
            <p className="muted">
              {t(known.monthly_difference_cents < 0 ? "plan.downHow" : "plan.upHow")}
            </p>
            {known.is_possible ? null : <MustShrink quote={known} />}
            {change.error ? <Failure error={change.error} /> : null}
            <div className="end">
              <Button variant="default" onClick={onClose} disabled={change.isPending}>
                {t("cancel")}
              </Button>
              <Button
                disabled={!known.is_possible}
                loading={change.isPending}
                onClick={() =>
                  change.mutate({
                    params: { path: { organization_id: organization.id } },
                    body: { plan_id: plan.id },
                  })
                }
              >
                {t("plan.confirm", { plan: plan.display_name })}
              </Button>
            </div>
          </div>
        )}
      </Loaded>
    </Modal>
  );
}

function Monthly({ quote }: { quote: ChangeQuote }) {
  const { t } = useTranslation();
  const rows: [string, number][] = [
    [t("plan.before"), quote.monthly_before_cents],
    [t("plan.after"), quote.monthly_after_cents],
    [t("plan.difference"), quote.monthly_difference_cents],
  ];
  return (
    <>
      <dl className={ui.facts}>
        {rows.map(([term, cents]) => (
          <div key={term}>
            <dt>{term}</dt>
            <dd>{formatCents(cents)}</dd>
          </div>
        ))}
      </dl>
      <p className="muted">{t("plan.quoteHow")}</p>
    </>
  );
}

/** What the plan allows less of than is held. */
function MustShrink({ quote }: { quote: ChangeQuote }) {
  const { t } = useTranslation();
  const say = (quota: ChangeQuote["quotas"][number]["quota"], count: number) =>
    quota === "database_milli_vcpu" ? formatCompute(count) : String(count);
  return (
    <div className={`${ui.note} ${ui.bad}`} role="alert">
      {t("plan.mustShrink")}
      <ul style={{ marginTop: 6, paddingLeft: 20 }}>
        {quote.quotas
          .filter(({ is_exceeded }) => is_exceeded)
          .map(({ quota, held, allowed }) => (
            <li key={quota}>
              {t("plan.shrink", {
                what: t(`plan.quota.${quota}`),
                held: say(quota, held),
                allowed: say(quota, allowed ?? 0),
              })}
            </li>
          ))}
      </ul>
    </div>
  );
}
