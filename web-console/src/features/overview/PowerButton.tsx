import { Button } from "@mantine/core";
import IconPlayerPause from "@tabler/icons-react/dist/esm/icons/IconPlayerPause.mjs";
import IconPlayerPlay from "@tabler/icons-react/dist/esm/icons/IconPlayerPlay.mjs";
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { $api } from "#/api/client";
import { databasesChanged, queries } from "#/api/queries";
import type { Database } from "#/api/types";
import { ConfirmDialog } from "#/ui/ConfirmDialog";
import { Failure } from "#/ui/Failure";
import { notifyDone } from "#/ui/notify";

/** Suspends a database or brings it back. */
export function PowerButton({ database }: { database: Database }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const [asking, setAsking] = useState(false);
  const accepted = async (changed: Database, message: string) => {
    client.setQueryData(queries.database(database.id).queryKey, changed);
    setAsking(false);
    notifyDone(message);
    await databasesChanged(client);
  };
  const suspend = $api.useMutation("post", "/v1/databases/{database_id}/suspend", {
    onSuccess: (answer) => accepted(answer.database, t("power.suspendAccepted")),
  });
  const resume = $api.useMutation("post", "/v1/databases/{database_id}/resume", {
    onSuccess: (answer) => accepted(answer.database, t("power.resumeAccepted")),
  });
  const params = { path: { database_id: database.id } };
  if (database.state === "deleting" || database.state === "pending") return null;
  if (database.state === "suspended") {
    return (
      <div className="row">
        {resume.isError ? <Failure error={resume.error} /> : null}
        <Button
          variant="default"
          size="sm"
          leftSection={<IconPlayerPlay size={16} />}
          loading={resume.isPending}
          onClick={() => resume.mutate({ params })}
        >
          {t("power.resume")}
        </Button>
      </div>
    );
  }
  return (
    <>
      <Button
        variant="default"
        size="sm"
        leftSection={<IconPlayerPause size={16} />}
        onClick={() => {
          suspend.reset();
          setAsking(true);
        }}
      >
        {t("power.suspend")}
      </Button>
      <ConfirmDialog
        opened={asking}
        title={t("power.suspendTitle", { name: database.name })}
        action={t("power.suspend")}
        busy={suspend.isPending}
        error={suspend.error}
        onConfirm={() => suspend.mutate({ params })}
        onClose={() => setAsking(false)}
      >
        {t("power.suspendText")}
      </ConfirmDialog>
    </>
  );
}
