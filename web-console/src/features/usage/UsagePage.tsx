import { Button, NativeSelect } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { queries } from "#/api/queries";
import { formatMonth } from "#/lib/format";
import { DawnArt } from "#/ui/art/DawnArt";
import { Empty } from "#/ui/Empty";
import { Bone, Loaded } from "#/ui/Loaded";
import { Page } from "#/ui/Page";
import { useScope } from "../shell/useScope";
import { LimitNotices } from "./LimitNotices";
import { MonthOfUsage } from "./MonthOfUsage";
import { monthOf } from "./meters";

/** Months that can be looked at. */
const MONTHS = 12;

/** Milliseconds between looks: usage is counted, not watched. */
const REFRESH_MS = 60_000;

/** What was used in a month: by meter, by day, by database. */
export function UsagePage() {
  const { t } = useTranslation();
  const { organization } = useScope();
  const [before, setBefore] = useState(0);
  const now = new Date();
  const month = monthOf(now, before);
  const usage = useQuery({
    ...queries.usageOfMonth(organization.id, month.from, month.to),
    refetchInterval: REFRESH_MS,
  });
  return (
    <Page
      title={t("usagePage.title")}
      lead={t("usagePage.lead")}
      actions={
        <div className="row">
          <Button
            variant="default"
            component="a"
            href={`/v1/organizations/${organization.id}/usage-export?period=${month.id}`}
            download
          >
            {t("usagePage.export")}
          </Button>
          <NativeSelect
            aria-label={t("usagePage.month")}
            value={String(before)}
            onChange={(event) => setBefore(Number(event.currentTarget.value))}
            data={Array.from({ length: MONTHS }, (_, back) => ({
              value: String(back),
              label: formatMonth(monthOf(now, back).from),
            }))}
          />
        </div>
      }
    >
      <LimitNotices />
      <Loaded key={month.id} query={usage} skeleton={<Skeleton />}>
        {(used) =>
          used.databases.length === 0 ? (
            <Empty art={<DawnArt />} title={t("usagePage.emptyTitle")}>
              <p>{t("usagePage.empty")}</p>
            </Empty>
          ) : (
            <MonthOfUsage usage={used} month={month} now={now} />
          )
        }
      </Loaded>
    </Page>
  );
}

function Skeleton() {
  return (
    <div className="stack">
      <Bone height={110} panel />
      <Bone height={280} panel />
    </div>
  );
}
