import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { $api } from "#/api/client";
import { databasesChanged } from "#/api/queries";
import type { Database } from "#/api/types";
import { ConfirmDialog } from "#/ui/ConfirmDialog";
import { notifyDone } from "#/ui/notify";

/** Asks for the name of a database before it is deleted. */
export default function DeletionDialog({
  database,
  onClose,
}: {
  database: Database;
  onClose: () => void;
}) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const navigate = useNavigate();
  const remove = $api.useMutation("delete", "/v1/databases/{database_id}", {
    onSuccess: async () => {
      onClose();
      await navigate({ to: "/databases" });
      notifyDone(t("deletion.accepted", { name: database.name }));
      await databasesChanged(client);
    },
  });
  return (
    <ConfirmDialog
      opened
      title={t("deletion.ask", { name: database.name })}
      action={t("deletion.action")}
      typed={database.name}
      busy={remove.isPending}
      error={remove.error}
      onConfirm={() => remove.mutate({ params: { path: { database_id: database.id } } })}
      onClose={onClose}
    >
      {t("deletion.text")}
    </ConfirmDialog>
  );
}
