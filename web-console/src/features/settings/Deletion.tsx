import { Button } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { $api } from "#/api/client";
import { databasesChanged } from "#/api/queries";
import type { Database } from "#/api/types";
import { ConfirmDialog } from "#/ui/ConfirmDialog";
import { notifyDone } from "#/ui/notify";
import { Panel } from "#/ui/Panel";
import ui from "#/ui/ui.module.css";

export function Deletion({ database }: { database: Database }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const navigate = useNavigate();
  const [asking, setAsking] = useState(false);
  const remove = $api.useMutation("delete", "/v1/databases/{database_id}", {
    onSuccess: async () => {
      setAsking(false);
      await navigate({ to: "/databases" });
      notifyDone(t("deletion.accepted", { name: database.name }));
      await databasesChanged(client);
    },
  });
  return (
    <Panel title={t("deletion.title")} lead={t("deletion.lead")} danger>
      <div className="stack">
        {database.deletion_protection ? <p className={ui.note}>{t("deletion.protected")}</p> : null}
        <div>
          <Button
            color="danger"
            disabled={database.deletion_protection || database.state === "deleting"}
            onClick={() => {
              remove.reset();
              setAsking(true);
            }}
          >
            {t("deletion.action")}
          </Button>
        </div>
      </div>
      <ConfirmDialog
        opened={asking}
        title={t("deletion.ask", { name: database.name })}
        action={t("deletion.action")}
        typed={database.name}
        busy={remove.isPending}
        error={remove.error}
        onConfirm={() => remove.mutate({ params: { path: { database_id: database.id } } })}
        onClose={() => setAsking(false)}
      >
        {t("deletion.text")}
      </ConfirmDialog>
    </Panel>
  );
}
