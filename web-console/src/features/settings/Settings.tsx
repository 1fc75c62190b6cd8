import { useSuspenseQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { queries } from "#/api/queries";
import { useTitle } from "#/ui/Page";
import { Deletion } from "./Deletion";
import { DurabilitySetting } from "./DurabilitySetting";
import { NameSetting } from "./NameSetting";
import { NetworksSetting } from "./NetworksSetting";
import { ProtectionSetting } from "./ProtectionSetting";
import { SizeSetting } from "./SizeSetting";

export function Settings({ databaseId }: { databaseId: string }) {
  const { t } = useTranslation();
  useTitle(t("nav.settings"));
  const { data: database } = useSuspenseQuery(queries.database(databaseId));
  return (
    <div className="stack" style={{ maxWidth: 760 }}>
      <NameSetting database={database} />
      <SizeSetting database={database} />
      <DurabilitySetting database={database} />
      <NetworksSetting database={database} />
      <ProtectionSetting database={database} />
      <Deletion database={database} />
    </div>
  );
}
