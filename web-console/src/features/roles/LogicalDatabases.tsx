import { ActionIcon, Button, VisuallyHidden } from "@mantine/core";
import IconTrash from "@tabler/icons-react/dist/esm/icons/IconTrash.mjs";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { lazy, Suspense, useState } from "react";
import { useTranslation } from "react-i18next";
import { $api } from "#/api/client";
import { databasesChanged, queries } from "#/api/queries";
import type { LogicalDatabase } from "#/api/types";
import { ConfirmDialog } from "#/ui/ConfirmDialog";
import { BoneRows, Loaded } from "#/ui/Loaded";
import { notifyDone } from "#/ui/notify";
import { Panel } from "#/ui/Panel";
import ui from "#/ui/ui.module.css";
import { isPgName } from "./name";

const NameDialog = lazy(() => import("#/ui/NameDialog"));

export function LogicalDatabases({ databaseId }: { databaseId: string }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const query = useQuery(queries.logicalDatabases(databaseId));
  const [dialog, setDialog] = useState<"create" | LogicalDatabase>();
  const done = (message: string) => {
    setDialog(undefined);
    notifyDone(message);
    return databasesChanged(client);
  };
  const create = $api.useMutation("post", "/v1/databases/{database_id}/logical-databases", {
    onSuccess: () => done(t("logical.created")),
  });
  const remove = $api.useMutation(
    "delete",
    "/v1/databases/{database_id}/logical-databases/{logical_database_id}",
    { onSuccess: () => done(t("logical.deleted")) },
  );
  const open = (next: "create" | LogicalDatabase) => {
    create.reset();
    remove.reset();
    setDialog(next);
  };
  return (
    <Panel
      title={t("logical.title")}
      lead={t("logical.lead")}
      flush
      actions={
        <Button size="sm" variant="default" onClick={() => open("create")}>
          {t("logical.create")}
        </Button>
      }
    >
      <Loaded query={query} skeleton={<BoneRows />}>
        {({ items }) => <Table items={items} onDelete={open} />}
      </Loaded>
      {dialog === "create" ? (
        <Suspense>
          <NameDialog
            title={t("logical.create")}
            lead={t("logical.createLead")}
            action={t("logical.create")}
            label={t("form.nameOf")}
            validate={(name) => isPgName(name) || t("form.pgName")}
            busy={create.isPending}
            error={create.error}
            onSubmit={(name) =>
              create.mutate({ params: { path: { database_id: databaseId } }, body: { name } })
            }
            onClose={() => setDialog(undefined)}
          />
        </Suspense>
      ) : null}
      {dialog !== undefined && dialog !== "create" ? (
        <ConfirmDialog
          opened
          title={t("logical.deleteTitle", { name: dialog.name })}
          action={t("logical.delete")}
          typed={dialog.name}
          busy={remove.isPending}
          error={remove.error}
          onConfirm={() =>
            remove.mutate({
              params: { path: { database_id: databaseId, logical_database_id: dialog.id } },
            })
          }
          onClose={() => setDialog(undefined)}
        >
          {t("logical.deleteText")}
        </ConfirmDialog>
      ) : null}
    </Panel>
  );
}

function Table({
  items,
  onDelete,
}: {
  items: readonly LogicalDatabase[];
  onDelete: (item: LogicalDatabase) => void;
}) {
  const { t } = useTranslation();
  return (
    <div className={ui.tableWrap}>
      <table className={ui.table}>
        <thead>
          <tr>
            <th scope="col">{t("form.nameOf")}</th>
            <th scope="col">{t("logical.owner")}</th>
            <th scope="col" className={ui.tight}>
              <VisuallyHidden>{t("actions")}</VisuallyHidden>
            </th>
          </tr>
        </thead>
        <tbody>
          {items.map((item) => (
            <tr key={item.id}>
              <td>
                <code>{item.name}</code>
              </td>
              <td className="muted">
                <code>{item.owner_role}</code>
              </td>
              <td className={ui.tight}>
                <ActionIcon
                  variant="subtle"
                  color="danger"
                  data-quiet
                  aria-label={t("logical.deleteNamed", { name: item.name })}
                  onClick={() => onDelete(item)}
                >
                  <IconTrash size={17} />
                </ActionIcon>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
