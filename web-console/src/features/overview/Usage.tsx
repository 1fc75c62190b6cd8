import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { queries } from "#/api/queries";
import { formatBytes, formatCount, formatMonth } from "#/lib/format";
import { Bone, Loaded } from "#/ui/Loaded";
import { Panel } from "#/ui/Panel";
import ui from "#/ui/ui.module.css";
import { gibibyteHours, monthStart, vcpuHours } from "./quantities";

/** Milliseconds between looks: usage is counted, not watched. */
const REFRESH_MS = 30_000;

/** What a database used since the month began, in the quantities that are metered. */
export function Usage({ databaseId }: { databaseId: string }) {
  const { t } = useTranslation();
  const from = monthStart(new Date());
  const query = useQuery({ ...queries.usage(databaseId, from), refetchInterval: REFRESH_MS });
  return (
    <Panel title={t("usage.title", { month: formatMonth(from) })}>
      <Loaded query={query} skeleton={<Bone height={44} />}>
        {({ totals }) => (
          <dl className={ui.facts}>
            <Fact term={t("usage.requests")}>{formatCount(totals.requests)}</Fact>
            <Fact term={t("usage.compute")}>
              {t("usage.vcpuHours", { hours: vcpuHours(totals.compute_milli_vcpu_seconds) })}
            </Fact>
            <Fact term={t("usage.storage")}>
              {t("usage.gibHours", { hours: gibibyteHours(totals.storage_byte_seconds) })}
            </Fact>
            <Fact term={t("usage.transfer")}>{formatBytes(totals.transfer_out_bytes)}</Fact>
          </dl>
        )}
      </Loaded>
    </Panel>
  );
}

function Fact({ term, children }: { term: string; children: string }) {
  return (
    <div>
      <dt>{term}</dt>
      <dd>{children}</dd>
    </div>
  );
}
