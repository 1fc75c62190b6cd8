import { Button } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { $api } from "#/api/client";
import { billingChanged, queries } from "#/api/queries";
import { formatDay } from "#/lib/format";
import { Failure } from "#/ui/Failure";
import { notifyDone } from "#/ui/notify";
import ui from "#/ui/ui.module.css";
import { useScope } from "../shell/useScope";
import { useCardPage } from "./useCardPage";
import { usePlanName } from "./usePlanName";

/** A change of plan that waits, and the way out of it. */
export function OpenChange() {
  const { t } = useTranslation();
  const client = useQueryClient();
  const { organization } = useScope();
  const planName = usePlanName();
  const { data } = useQuery(queries.planChanges(organization.id));
  const cancel = $api.useMutation(
    "delete",
    "/v1/organizations/{organization_id}/plan-changes/{plan_change_id}",
    {
      onSuccess: async () => {
        notifyDone(t("plan.cancelled"));
        await billingChanged(client);
      },
    },
  );
  const card = useCardPage(organization.id);
  const open = data?.items.find(({ state }) => state === "waiting" || state === "scheduled");
  if (open === undefined) return null;
  const plan = planName(open.plan_id);
  const error = card.error ?? cancel.error;
  return (
    <div className={`${ui.note} ${ui.warm}`} role="status">
      <div className="between">
        <p>
          {open.state === "scheduled" && open.effective_at
            ? t("plan.scheduled", { plan, day: formatDay(open.effective_at) })
            : t("plan.waiting", { plan })}
        </p>
        <div className="end">
          <Button
            size="xs"
            variant="default"
            loading={cancel.isPending}
            onClick={() =>
              cancel.mutate({
                params: { path: { organization_id: organization.id, plan_change_id: open.id } },
              })
            }
          >
            {t("plan.cancelChange")}
          </Button>
          {open.state === "waiting" ? (
            <Button size="xs" loading={card.isPending} onClick={card.open}>
              {t("card.add")}
            </Button>
          ) : null}
        </div>
      </div>
      {error ? <Failure error={error} /> : null}
    </div>
  );
}
