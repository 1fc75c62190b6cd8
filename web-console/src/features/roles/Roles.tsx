import { useTranslation } from "react-i18next";
import { useTitle } from "#/ui/Page";
import { LogicalDatabases } from "./LogicalDatabases";
import { RoleList } from "./RoleList";

export function Roles({ databaseId }: { databaseId: string }) {
  const { t } = useTranslation();
  useTitle(t("nav.roles"));
  return (
    <div className="stack">
      <RoleList databaseId={databaseId} />
      <LogicalDatabases databaseId={databaseId} />
    </div>
  );
}
