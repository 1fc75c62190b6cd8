import { Switch } from "@mantine/core";
import { useTranslation } from "react-i18next";
import type { Database } from "#/api/types";
import { Failure } from "#/ui/Failure";
import { Panel } from "#/ui/Panel";
import { useUpdate } from "./useUpdate";

export function ProtectionSetting({ database }: { database: Database }) {
  const { t } = useTranslation();
  const { update, isPending, error } = useUpdate(database, t("settings.saved"));
  return (
    <Panel title={t("settings.protection")} lead={t("settings.protectionLead")}>
      <div className="stack">
        {error ? <Failure error={error} /> : null}
        <Switch
          label={t("settings.protectionLabel")}
          checked={database.deletion_protection}
          disabled={isPending}
          onChange={(event) => update({ deletion_protection: event.currentTarget.checked })}
        />
      </div>
    </Panel>
  );
}
