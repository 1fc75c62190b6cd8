import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import type { Database } from "#/api/types";
import ui from "#/ui/ui.module.css";

/** That a restore in place goes on, and where it can be followed. */
export function InPlaceNote({ database }: { database: Database }) {
  const { t } = useTranslation();
  const { in_place_restore } = database;
  if (!in_place_restore || !isRestoring(database)) return null;
  return (
    <p className={ui.note} role="status">
      {t("restore.inPlaceOpen")}{" "}
      <Link
        to="/databases/$databaseId/creation"
        params={{ databaseId: in_place_restore.database_id }}
        search={{ operation: in_place_restore.operation_id }}
      >
        {t("restore.inPlaceFollow")}
      </Link>
    </p>
  );
}

/** Whether a restore in place goes on that a database takes part in. */
export function isRestoring(database: Database | undefined): boolean {
  return database?.in_place_restore?.ended_at === null;
}
