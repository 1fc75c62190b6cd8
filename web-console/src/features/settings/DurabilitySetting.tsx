import { Button } from "@mantine/core";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import type { Database } from "#/api/types";
import { Failure } from "#/ui/Failure";
import { Bone, Loaded } from "#/ui/Loaded";
import { Panel } from "#/ui/Panel";
import { DurabilityChoice } from "../databases/DurabilityChoice";
import { usePlan } from "../databases/usePlan";
import { useUpdate } from "./useUpdate";

export function DurabilitySetting({ database }: { database: Database }) {
  const { t } = useTranslation();
  const plan = usePlan();
  const { update, isPending, error } = useUpdate(database, t("settings.durabilityAccepted"));
  const [chosen, setChosen] = useState<Database["durability"]>();
  const wanted = chosen ?? database.durability;
  return (
    <Panel title={t("settings.durability")} lead={t("settings.durabilityLead")}>
      <div className="stack">
        {error ? <Failure error={error} /> : null}
        <Loaded query={plan} skeleton={<Bone height={92} />}>
          {(data) => (
            <DurabilityChoice plan={data.plan} value={wanted} onChange={setChosen} titled />
          )}
        </Loaded>
        <div>
          <Button
            variant="default"
            loading={isPending}
            disabled={wanted === database.durability}
            onClick={() => update({ durability: wanted })}
          >
            {t("settings.durabilitySave")}
          </Button>
        </div>
      </div>
    </Panel>
  );
}
