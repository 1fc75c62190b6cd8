import { useQueryClient } from "@tanstack/react-query";
import { lazy } from "react";
import { useTranslation } from "react-i18next";
import { $api } from "#/api/client";
import { databasesChanged } from "#/api/queries";
import type { Database } from "#/api/types";
import { notifyDone } from "#/ui/notify";

const RestoreDialog = lazy(() => import("./RestoreDialog"));
const NameDialog = lazy(() => import("#/ui/NameDialog"));

/** Which one is open; for a restore, with the moment that it offers. */
export type Dialog = { kind: "restore"; at?: string } | { kind: "backup" } | { kind: "point" };

/** The one dialog of the page that is open. */
export function Dialogs({
  database,
  dialog,
  onClose,
}: {
  database: Database;
  dialog: Dialog;
  onClose: () => void;
}) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const done = (message: string) => () => {
    onClose();
    notifyDone(message);
    return databasesChanged(client);
  };
  const backUp = $api.useMutation("post", "/v1/databases/{database_id}/backups", {
    onSuccess: done(t("backups.created")),
  });
  const mark = $api.useMutation("post", "/v1/databases/{database_id}/restore-points", {
    onSuccess: done(t("backups.pointCreated")),
  });
  const params = { path: { database_id: database.id } };
  switch (dialog.kind) {
    case "restore":
      return <RestoreDialog database={database} at={dialog.at} onClose={onClose} />;
    case "backup":
      return (
        <NameDialog
          title={t("backups.createTitle")}
          lead={t("backups.createLead")}
          action={t("backups.create")}
          label={t("backups.nameOptional")}
          validate={() => true}
          busy={backUp.isPending}
          error={backUp.error}
          onSubmit={(name) => backUp.mutate({ params, body: name === "" ? {} : { name } })}
          onClose={onClose}
        />
      );
    case "point":
      return (
        <NameDialog
          title={t("backups.pointCreate")}
          lead={t("backups.pointLead")}
          action={t("backups.pointCreate")}
          label={t("form.nameOf")}
          validate={(name) => name.trim() !== "" || t("form.required")}
          busy={mark.isPending}
          error={mark.error}
          onSubmit={(name) => mark.mutate({ params, body: { name } })}
          onClose={onClose}
        />
      );
  }
}
