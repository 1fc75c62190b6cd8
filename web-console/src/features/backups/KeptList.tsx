import { Button, VisuallyHidden } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { $api } from "#/api/client";
import { databasesChanged } from "#/api/queries";
import type { Database } from "#/api/types";
import { formatBytes, formatMoment } from "#/lib/format";
import { useSubmissionKey } from "#/lib/submission-key";
import { ConfirmDialog } from "#/ui/ConfirmDialog";
import { Panel } from "#/ui/Panel";
import ui from "#/ui/ui.module.css";
import css from "./backups.module.css";

/** Whether a database has what another had before it was restored in place. */
export function isKeptOf(database: Database, { id, in_place_restore }: Database): boolean {
  return (
    in_place_restore?.phase === "done" &&
    in_place_restore.database_id === database.id &&
    in_place_restore.kept_database_id === id
  );
}

/** What a database had before it was restored in place, and the way back to it. */
export function KeptList({ database, kept }: { database: Database; kept: readonly Database[] }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const navigate = useNavigate();
  const [asking, setAsking] = useState<Database>();
  const keyFor = useSubmissionKey();
  const goBack = $api.useMutation("post", "/v1/databases/{database_id}/restore", {
    onSuccess: ({ operation }) => {
      setAsking(undefined);
      void databasesChanged(client);
      void navigate({
        to: "/databases/$databaseId/creation",
        params: { databaseId: database.id },
        search: { operation: operation.id },
      });
    },
  });
  return (
    <Panel title={t("kept.title")} lead={t("kept.lead")} flush>
      <div className={ui.tableWrap}>
        <table className={ui.table}>
          <thead>
            <tr>
              <th scope="col">{t("form.nameOf")}</th>
              <th scope="col">{t("kept.until")}</th>
              <th scope="col" className={ui.spare}>
                {t("backups.size")}
              </th>
              <th scope="col" className={ui.tight}>
                <VisuallyHidden>{t("actions")}</VisuallyHidden>
              </th>
            </tr>
          </thead>
          <tbody>
            {kept.map((each) => (
              <tr key={each.id}>
                <td>
                  <Link
                    to="/databases/$databaseId"
                    params={{ databaseId: each.id }}
                    className={css.name}
                  >
                    {each.name}
                  </Link>
                </td>
                <td>
                  {each.in_place_restore?.ended_at
                    ? formatMoment(each.in_place_restore.ended_at)
                    : "–"}
                </td>
                <td className={ui.spare}>{formatBytes(each.storage_bytes)}</td>
                <td className={ui.tight}>
                  <Button
                    size="xs"
                    variant="default"
                    aria-label={t("kept.actionNamed", { name: each.name })}
                    onClick={() => {
                      goBack.reset();
                      setAsking(each);
                    }}
                  >
                    {t("kept.action")}
                  </Button>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <ConfirmDialog
        opened={asking !== undefined}
        title={t("kept.ask", { name: asking?.name ?? "" })}
        action={t("kept.action")}
        typed={database.name}
        busy={goBack.isPending}
        error={goBack.error}
        onConfirm={() => {
          if (asking === undefined) return;
          const body = { in_place: true, kept_database_id: asking.id };
          goBack.mutate({
            params: { path: { database_id: database.id } },
            headers: { "Idempotency-Key": keyFor(JSON.stringify([database.id, body])) },
            body,
          });
        }}
        onClose={() => setAsking(undefined)}
      >
        {t("kept.text", { name: asking?.name ?? "" })}
      </ConfirmDialog>
    </Panel>
  );
}
