import { Button } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { $api } from "#/api/client";
import { databasesChanged } from "#/api/queries";
import type { Role } from "#/api/types";
import { Failure } from "#/ui/Failure";
import { notifyDone } from "#/ui/notify";

/** A new password for a role, without leaving the dialog that shows the strings. */
export function ResetPassword({ databaseId, role }: { databaseId: string; role: Role }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const [asking, setAsking] = useState(false);
  const rotate = $api.useMutation(
    "post",
    "/v1/databases/{database_id}/roles/{role_id}/rotate-password",
    {
      onSuccess: async () => {
        setAsking(false);
        notifyDone(t("connect.resetDone", { role: role.name }));
        await databasesChanged(client);
      },
    },
  );
  const path = { database_id: databaseId, role_id: role.id };
  if (!asking) {
    return (
      <div className="between">
        <p className="muted">{t("connect.resetLead")}</p>
        <Button variant="default" size="xs" onClick={() => setAsking(true)}>
          {t("connect.reset")}
        </Button>
      </div>
    );
  }
  return (
    <div className="stack">
      {rotate.isError ? <Failure error={rotate.error} /> : null}
      <div className="between">
        <p>{t("connect.resetAsk", { role: role.name })}</p>
        <div className="row">
          <Button
            variant="default"
            size="xs"
            disabled={rotate.isPending}
            onClick={() => setAsking(false)}
          >
            {t("cancel")}
          </Button>
          <Button
            color="danger"
            size="xs"
            loading={rotate.isPending}
            onClick={() => rotate.mutate({ params: { path } })}
          >
            {t("connect.reset")}
          </Button>
        </div>
      </div>
    </div>
  );
}
