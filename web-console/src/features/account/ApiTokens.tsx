import { Button, VisuallyHidden } from "@mantine/core";
import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { lazy, Suspense, useState } from "react";
import { useTranslation } from "react-i18next";
import { $api } from "#/api/client";
import { itemsOf, queries } from "#/api/queries";
import type { ApiToken } from "#/api/types";
import { formatDay, formatRelative } from "#/lib/format";
import { KeyArt } from "#/ui/art/KeyArt";
import { ConfirmDialog } from "#/ui/ConfirmDialog";
import { Empty } from "#/ui/Empty";
import { BoneRows, Loaded } from "#/ui/Loaded";
import { More } from "#/ui/More";
import { notifyDone } from "#/ui/notify";
import { Page } from "#/ui/Page";
import { Panel } from "#/ui/Panel";
import ui from "#/ui/ui.module.css";
import { useScope } from "../shell/useScope";

const TokenCreate = lazy(() => import("./TokenCreate"));

export function ApiTokens() {
  const { t } = useTranslation();
  const { organization } = useScope();
  const query = useInfiniteQuery(queries.tokens(organization.id));
  const [dialog, setDialog] = useState<"create" | ApiToken>();
  const create = <Button onClick={() => setDialog("create")}>{t("tokens.create")}</Button>;
  // An empty list has the button in its middle.
  const isEmpty = query.data !== undefined && itemsOf(query.data).length === 0;
  return (
    <Page title={t("nav.tokens")} lead={t("tokens.lead")} actions={isEmpty ? undefined : create}>
      <div className="stack">
        <Panel flush>
          <Loaded query={query} skeleton={<BoneRows />}>
            {(read) =>
              isEmpty ? (
                <Empty art={<KeyArt />} title={t("tokens.emptyTitle")} actions={create}>
                  <p>{t("tokens.empty")}</p>
                </Empty>
              ) : (
                <Table tokens={itemsOf(read)} onDelete={setDialog} />
              )
            }
          </Loaded>
        </Panel>
        <More query={query} label={t("older")} />
      </div>
      {dialog === "create" ? (
        <Suspense>
          <TokenCreate organizationId={organization.id} onClose={() => setDialog(undefined)} />
        </Suspense>
      ) : null}
      {dialog !== undefined && dialog !== "create" ? (
        <TokenDelete
          organizationId={organization.id}
          token={dialog}
          onClose={() => setDialog(undefined)}
        />
      ) : null}
    </Page>
  );
}

function Table({
  tokens,
  onDelete,
}: {
  tokens: readonly ApiToken[];
  onDelete: (token: ApiToken) => void;
}) {
  const { t } = useTranslation();
  const now = new Date();
  return (
    <div className={ui.tableWrap}>
      <table className={ui.table}>
        <thead>
          <tr>
            <th scope="col">{t("form.nameOf")}</th>
            <th scope="col" className={ui.spare}>
              {t("account.lastUsed")}
            </th>
            <th scope="col">{t("tokens.expires")}</th>
            <th scope="col" className={ui.tight}>
              <VisuallyHidden>{t("actions")}</VisuallyHidden>
            </th>
          </tr>
        </thead>
        <tbody>
          {tokens.map((token) => (
            <tr key={token.id}>
              <td>
                <span className="row">
                  {token.name}
                  {token.read_only ? <span className={ui.tag}>{t("tokens.readOnly")}</span> : null}
                </span>
              </td>
              <td className={`muted nowrap ${ui.spare}`}>
                {token.last_used_at ? formatRelative(token.last_used_at, now) : t("tokens.never")}
              </td>
              <td className="muted nowrap">{formatDay(token.expires_at)}</td>
              <td className={ui.tight}>
                <Button size="xs" variant="default" color="danger" onClick={() => onDelete(token)}>
                  {t("tokens.delete")}
                </Button>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function TokenDelete({
  organizationId,
  token,
  onClose,
}: {
  organizationId: string;
  token: ApiToken;
  onClose: () => void;
}) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const remove = $api.useMutation(
    "delete",
    "/v1/organizations/{organization_id}/tokens/{token_id}",
    {
      onSuccess: async () => {
        onClose();
        notifyDone(t("tokens.deleted"));
        await client.invalidateQueries({ queryKey: queries.tokens(organizationId).queryKey });
      },
    },
  );
  const path = { organization_id: organizationId, token_id: token.id };
  return (
    <ConfirmDialog
      opened
      title={t("tokens.deleteTitle", { name: token.name })}
      action={t("tokens.delete")}
      busy={remove.isPending}
      error={remove.error}
      onConfirm={() => remove.mutate({ params: { path } })}
      onClose={onClose}
    >
      {t("tokens.deleteText")}
    </ConfirmDialog>
  );
}
