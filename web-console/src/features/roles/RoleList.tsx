import { ActionIcon, Button, VisuallyHidden } from "@mantine/core";
import IconRefresh from "@tabler/icons-react/dist/esm/icons/IconRefresh.mjs";
import IconTrash from "@tabler/icons-react/dist/esm/icons/IconTrash.mjs";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { lazy, Suspense, useState } from "react";
import { useTranslation } from "react-i18next";
import { $api } from "#/api/client";
import { databasesChanged, queries } from "#/api/queries";
import type { Role } from "#/api/types";
import { formatMoment, formatRelative } from "#/lib/format";
import { ConfirmDialog } from "#/ui/ConfirmDialog";
import { BoneRows, Loaded } from "#/ui/Loaded";
import { notifyDone } from "#/ui/notify";
import { Panel } from "#/ui/Panel";
import ui from "#/ui/ui.module.css";
import { isPgName } from "./name";
import { PasswordOnce } from "./PasswordOnce";

const NameDialog = lazy(() => import("#/ui/NameDialog"));

type Dialog =
  | { kind: "create" }
  | { kind: "rotate"; role: Role }
  | { kind: "delete"; role: Role }
  | { kind: "password"; role: string; password: string };

export function RoleList({ databaseId }: { databaseId: string }) {
  const { t } = useTranslation();
  const query = useQuery(queries.roles(databaseId));
  const [dialog, setDialog] = useState<Dialog>();
  return (
    <Panel
      title={t("roles.title")}
      lead={t("roles.lead")}
      flush
      actions={
        <Button size="sm" onClick={() => setDialog({ kind: "create" })}>
          {t("roles.create")}
        </Button>
      }
    >
      <Loaded query={query} skeleton={<BoneRows />}>
        {({ items }) => <Table roles={items} onChoose={setDialog} />}
      </Loaded>
      {dialog === undefined ? null : (
        <Dialogs databaseId={databaseId} dialog={dialog} onChange={setDialog} />
      )}
    </Panel>
  );
}

function Table({
  roles,
  onChoose,
}: {
  roles: readonly Role[];
  onChoose: (dialog: Dialog) => void;
}) {
  const { t } = useTranslation();
  const now = new Date();
  return (
    <div className={ui.tableWrap}>
      <table className={ui.table}>
        <thead>
          <tr>
            <th scope="col">{t("form.nameOf")}</th>
            <th scope="col">{t("roles.changed")}</th>
            <th scope="col" className={ui.tight}>
              <VisuallyHidden>{t("actions")}</VisuallyHidden>
            </th>
          </tr>
        </thead>
        <tbody>
          {roles.map((role) => (
            <tr key={role.id}>
              <td>
                <span className="row">
                  <code>{role.name}</code>
                  {role.is_owner ? <span className={ui.tag}>{t("roles.owner")}</span> : null}
                </span>
              </td>
              <td className="muted nowrap" title={formatMoment(role.password_changed_at)}>
                {formatRelative(role.password_changed_at, now)}
              </td>
              <td className={ui.tight}>
                <RoleActions role={role} onChoose={onChoose} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function RoleActions({ role, onChoose }: { role: Role; onChoose: (dialog: Dialog) => void }) {
  const { t } = useTranslation();
  return (
    <div className="row" style={{ flexWrap: "nowrap" }}>
      <ActionIcon
        variant="subtle"
        title={t("roles.rotate")}
        aria-label={t("roles.rotateNamed", { role: role.name })}
        onClick={() => onChoose({ kind: "rotate", role })}
      >
        <IconRefresh size={17} />
      </ActionIcon>
      <ActionIcon
        variant="subtle"
        color="danger"
        data-quiet
        title={role.is_owner ? t("roles.ownerStays") : t("roles.delete")}
        aria-label={t("roles.deleteNamed", { role: role.name })}
        disabled={role.is_owner}
        onClick={() => onChoose({ kind: "delete", role })}
      >
        <IconTrash size={17} />
      </ActionIcon>
    </div>
  );
}

function Dialogs({
  databaseId,
  dialog,
  onChange,
}: {
  databaseId: string;
  dialog: Dialog;
  onChange: (dialog: Dialog | undefined) => void;
}) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const showPassword = ({ role, password }: { role: Role; password: string }) => {
    onChange({ kind: "password", role: role.name, password });
    return databasesChanged(client);
  };
  const create = $api.useMutation("post", "/v1/databases/{database_id}/roles", {
    onSuccess: showPassword,
  });
  const rotate = $api.useMutation(
    "post",
    "/v1/databases/{database_id}/roles/{role_id}/rotate-password",
    { onSuccess: showPassword },
  );
  const remove = $api.useMutation("delete", "/v1/databases/{database_id}/roles/{role_id}", {
    onSuccess: () => {
      onChange(undefined);
      notifyDone(t("roles.deleted"));
      return databasesChanged(client);
    },
  });
  const close = () => onChange(undefined);
  switch (dialog.kind) {
    case "create":
      return (
        <Suspense>
          <NameDialog
            title={t("roles.create")}
            lead={t("roles.createLead")}
            action={t("roles.create")}
            label={t("form.nameOf")}
            validate={(name) => isPgName(name) || t("form.pgName")}
            busy={create.isPending}
            error={create.error}
            onSubmit={(name) =>
              create.mutate({ params: { path: { database_id: databaseId } }, body: { name } })
            }
            onClose={close}
          />
        </Suspense>
      );
    case "rotate":
      return (
        <ConfirmDialog
          opened
          title={t("roles.rotateTitle", { role: dialog.role.name })}
          action={t("roles.rotate")}
          busy={rotate.isPending}
          error={rotate.error}
          onConfirm={() =>
            rotate.mutate({
              params: { path: { database_id: databaseId, role_id: dialog.role.id } },
            })
          }
          onClose={close}
        >
          {t("roles.rotateText")}
        </ConfirmDialog>
      );
    case "delete":
      return (
        <ConfirmDialog
          opened
          title={t("roles.deleteTitle", { role: dialog.role.name })}
          action={t("roles.delete")}
          typed={dialog.role.name}
          busy={remove.isPending}
          error={remove.error}
          onConfirm={() =>
            remove.mutate({
              params: { path: { database_id: databaseId, role_id: dialog.role.id } },
            })
          }
          onClose={close}
        >
          {t("roles.deleteText")}
        </ConfirmDialog>
      );
    case "password":
      return <PasswordOnce role={dialog.role} password={dialog.password} onClose={close} />;
  }
}
