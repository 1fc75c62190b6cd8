import { Button } from "@mantine/core";
import { useInfiniteQuery, useQueryClient, useSuspenseQuery } from "@tanstack/react-query";
import { lazy, Suspense, useState } from "react";
import { useTranslation } from "react-i18next";
import { $api } from "#/api/client";
import { databasesChanged, itemsOf, queries } from "#/api/queries";
import type { Import } from "#/api/types";
import { BoneRows, Loaded } from "#/ui/Loaded";
import { More } from "#/ui/More";
import { notifyDone } from "#/ui/notify";
import { useTitle } from "#/ui/Page";
import { Panel } from "#/ui/Panel";
import { ImportList } from "./ImportList";
import { ImportProgress } from "./ImportProgress";

const ImportDialog = lazy(() => import("./ImportDialog"));

/** Milliseconds between looks; while an import is under way, and otherwise. */
const REFRESH_MOVING_MS = 1_000;
const REFRESH_MS = 10_000;

const isOpen = ({ ended_at }: Pick<Import, "ended_at">) => ended_at === null;

/** What was copied into a database from other servers, and the way to begin. */
export function Imports({ databaseId }: { databaseId: string }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const { data: database } = useSuspenseQuery(queries.database(databaseId));
  useTitle(`${t("nav.imports")} · ${database.name}`);
  const [asking, setAsking] = useState(false);
  const imports = useInfiniteQuery({
    ...queries.imports(databaseId),
    refetchInterval: ({ state }) =>
      itemsOf(state.data).some(isOpen) ? REFRESH_MOVING_MS : REFRESH_MS,
  });
  const cancel = $api.useMutation("post", "/v1/imports/{import_id}/cancel", {
    onSuccess: () => {
      notifyDone(t("imports.cancelAsked"));
      void databasesChanged(client);
    },
  });
  const complete = $api.useMutation("post", "/v1/imports/{import_id}/complete", {
    onSuccess: () => {
      notifyDone(t("imports.switchOverAsked"));
      void databasesChanged(client);
    },
  });
  const items = itemsOf(imports.data);
  const open = items.find(isOpen);
  return (
    <div className="stack">
      {open === undefined ? null : (
        <ImportProgress
          of={open}
          busy={cancel.isPending || complete.isPending}
          error={cancel.error ?? complete.error}
          onCancel={() => cancel.mutate({ params: { path: { import_id: open.id } } })}
          onComplete={() => complete.mutate({ params: { path: { import_id: open.id } } })}
        />
      )}
      <Panel
        title={t("imports.list")}
        lead={t("imports.listLead")}
        flush
        actions={
          <Button
            size="sm"
            disabled={
              open !== undefined || database.state === "suspended" || database.state === "deleting"
            }
            onClick={() => setAsking(true)}
          >
            {t("imports.start")}
          </Button>
        }
      >
        <Loaded query={imports} skeleton={<BoneRows />}>
          {() =>
            items.length === 0 ? (
              <p className="muted" style={{ padding: 20 }}>
                {t("imports.none")}
              </p>
            ) : (
              <ImportList imports={items} />
            )
          }
        </Loaded>
        <More query={imports} label={t("older")} flush />
      </Panel>
      {asking ? (
        <Suspense>
          <ImportDialog database={database} onClose={() => setAsking(false)} />
        </Suspense>
      ) : null}
    </div>
  );
}
