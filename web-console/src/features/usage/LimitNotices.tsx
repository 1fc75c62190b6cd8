import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { queries } from "#/api/queries";
import type { LimitNotice } from "#/api/types";
import ui from "#/ui/ui.module.css";
import { usePlan } from "../databases/usePlan";
import { useScope } from "../shell/useScope";

/** Percent of a limit at which it is reached. */
const REACHED = 100;

/** Limits of the plan that were nearly or wholly used this month, and the way to more. */
export function LimitNotices() {
  const { t } = useTranslation();
  const { organization } = useScope();
  const { data: plan } = usePlan();
  const { data: told } = useQuery(queries.limitNotices(organization.id));
  const limited = plan?.plan?.limits ?? [];
  const notices = farthest(told?.items ?? []).filter((notice) =>
    limited.some(({ meter }) => meter === notice.meter),
  );
  return notices.map(({ id, meter, percent }) => (
    <div key={id} className={`${ui.note} ${percent >= REACHED ? ui.bad : ui.warm}`} role="status">
      <div className="between">
        <p>
          {t(percent >= REACHED ? "limits.reached" : "limits.near", {
            meter: t(`meter.${meter}`),
            percent,
          })}
        </p>
        <Button
          size="xs"
          variant="default"
          renderRoot={(props) => <Link to="/billing/plan" {...props} />}
        >
          {t("limits.upgrade")}
        </Button>
      </div>
    </div>
  ));
}

/** Of each meter the notice that says most. */
function farthest(items: readonly LimitNotice[]): LimitNotice[] {
  return items.filter((notice) =>
    items.every(({ meter, percent }) => meter !== notice.meter || percent <= notice.percent),
  );
}
