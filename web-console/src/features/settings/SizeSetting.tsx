import { Button } from "@mantine/core";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import type { Database } from "#/api/types";
import { Failure } from "#/ui/Failure";
import { Bone, Loaded } from "#/ui/Loaded";
import { Panel } from "#/ui/Panel";
import { SizeChoice } from "../databases/SizeChoice";
import { usePlan } from "../databases/usePlan";
import { useUpdate } from "./useUpdate";

export function SizeSetting({ database }: { database: Database }) {
  const { t } = useTranslation();
  const plan = usePlan();
  const { update, isPending, error } = useUpdate(database, t("settings.resizeAccepted"));
  const [chosen, setChosen] = useState<number>();
  const wanted = chosen ?? database.milli_vcpu;
  return (
    <Panel title={t("settings.size")} lead={t("settings.sizeLead")}>
      <div className="stack">
        {error ? <Failure error={error} /> : null}
        <Loaded query={plan} skeleton={<Bone height={92} />}>
          {({ sizes, milliVcpuMax }) => (
            <SizeChoice
              sizes={sizes}
              milliVcpuMax={milliVcpuMax}
              value={wanted}
              onChange={setChosen}
              titled
            />
          )}
        </Loaded>
        <div>
          <Button
            variant="default"
            loading={isPending}
            disabled={wanted === database.milli_vcpu}
            onClick={() => update({ milli_vcpu: wanted })}
          >
            {t("settings.resize")}
          </Button>
        </div>
      </div>
    </Panel>
  );
}
