import { Button, NativeSelect } from "@mantine/core";
import IconPlayerPlayFilled from "@tabler/icons-react/dist/esm/icons/IconPlayerPlayFilled.mjs";
import IconPlayerStop from "@tabler/icons-react/dist/esm/icons/IconPlayerStop.mjs";
import { useQuery } from "@tanstack/react-query";
import { lazy, Suspense, useCallback, useMemo, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { queries } from "#/api/queries";
import type { LogicalDatabase, Role } from "#/api/types";
import { ConfirmDialog } from "#/ui/ConfirmDialog";
import { Bone, Loaded } from "#/ui/Loaded";
import { useTitle } from "#/ui/Page";
import type { Chosen, EditorHandle, Mark } from "./Editor";
import { RUN_KEYS } from "./keys";
import { editorOffset, wordAt } from "./position";
import { Results } from "./Results";
import css from "./SqlEditor.module.css";
import { type Loss, lossesOf } from "./statements";
import { TabBar } from "./TabBar";
import { type Run, useRun } from "./useRun";
import { useTabs } from "./useTabs";

const Editor = lazy(() => import("./Editor"));

const ROW_LIMITS = [100, 500, 1000] as const;

export function SqlEditor({ databaseId }: { databaseId: string }) {
  const { t } = useTranslation();
  useTitle(t("nav.sql"));
  const roles = useQuery(queries.roles(databaseId));
  const logical = useQuery(queries.logicalDatabases(databaseId));
  return (
    <Loaded query={roles} skeleton={<Bone height={480} panel />}>
      {({ items: allRoles }) => (
        <Loaded query={logical} skeleton={<Bone height={480} panel />}>
          {({ items }) => <Workbench databaseId={databaseId} roles={allRoles} logical={items} />}
        </Loaded>
      )}
    </Loaded>
  );
}

function Workbench({
  databaseId,
  roles,
  logical,
}: {
  databaseId: string;
  roles: readonly Role[];
  logical: readonly LogicalDatabase[];
}) {
  const { t } = useTranslation();
  const [tabs, dispatch] = useTabs(databaseId, t("sql.query"));
  const active = tabs.tabs.find(({ id }) => id === tabs.activeId);
  const activeId = active?.id ?? "";
  const [role, setRole] = useState(
    roles.find(({ is_owner }) => is_owner)?.name ?? roles[0]?.name ?? "",
  );
  const [logicalDatabase, setLogicalDatabase] = useState(logical[0]?.name ?? "");
  const [rowLimit, setRowLimit] = useState<number>(ROW_LIMITS[0]);
  const [asking, setAsking] = useState<Chosen & { losses: Loss[] }>();
  const editor = useRef<EditorHandle>(null);
  const { run, start, cancel } = useRun(databaseId);
  const running = run?.state === "running";

  const submit = ({ sql, before }: Chosen) => {
    setAsking(undefined);
    void start({ role, logicalDatabase, sql, rowLimit, tabId: activeId, before });
  };
  const onRun = () => {
    const chosen = editor.current?.chosen();
    if (chosen === undefined || chosen.sql.trim() === "" || running) return;
    const losses = lossesOf(chosen.sql);
    if (losses.length === 0) submit(chosen);
    else setAsking({ ...chosen, losses });
  };
  const onChange = useCallback(
    (sql: string) => dispatch({ type: "edit", id: activeId, sql }),
    [dispatch, activeId],
  );
  const mark = useMark(run, activeId);
  return (
    <div className={css.workbench}>
      <TabBar state={tabs} dispatch={dispatch} />
      <div className={css.toolbar}>
        <NativeSelect
          size="xs"
          aria-label={t("connect.role")}
          data={roles.map(({ name }) => name)}
          value={role}
          onChange={(event) => setRole(event.currentTarget.value)}
        />
        <NativeSelect
          size="xs"
          aria-label={t("connect.logicalDatabase")}
          data={logical.map(({ name }) => name)}
          value={logicalDatabase}
          onChange={(event) => setLogicalDatabase(event.currentTarget.value)}
        />
        <NativeSelect
          size="xs"
          aria-label={t("sql.rowLimit")}
          data={ROW_LIMITS.map((count) => ({
            value: String(count),
            label: t("sql.limit", { count }),
          }))}
          value={String(rowLimit)}
          onChange={(event) => setRowLimit(Number(event.currentTarget.value))}
        />
        {running ? (
          <Button
            size="xs"
            variant="default"
            className={css.run}
            leftSection={<IconPlayerStop size={15} />}
            disabled={run.cancelling}
            onClick={() => void cancel()}
          >
            {t("sql.cancel")}
          </Button>
        ) : (
          <Button
            size="xs"
            className={css.run}
            leftSection={<IconPlayerPlayFilled size={13} />}
            rightSection={
              <span className={css.keys} aria-hidden="true">
                {RUN_KEYS}
              </span>
            }
            onClick={onRun}
          >
            {t("sql.run")}
          </Button>
        )}
      </div>
      <Suspense fallback={<div className={css.editor} />}>
        <Editor
          tabId={activeId}
          sql={active?.sql ?? ""}
          label={t("sql.editor")}
          hint={t("sql.placeholder")}
          mark={mark}
          onChange={onChange}
          onRun={onRun}
          onReady={(handle) => {
            editor.current = handle;
          }}
        />
      </Suspense>
      <section className={css.results} aria-label={t("sql.results")}>
        <Results run={run} />
      </section>
      <ConfirmDialog
        opened={asking !== undefined}
        title={t("sql.destructiveTitle")}
        action={t("sql.runAnyway")}
        busy={false}
        error={undefined}
        onConfirm={() => asking && submit(asking)}
        onClose={() => setAsking(undefined)}
      >
        <ul style={{ paddingLeft: 18 }}>
          {(asking?.losses ?? []).map((loss) => (
            <li key={loss}>{t(`sql.loss.${loss}`)}</li>
          ))}
        </ul>
      </ConfirmDialog>
    </div>
  );
}

/** Where in the editor the database found the error of the last run. */
function useMark(run: Run | undefined, tabId: string): Mark | undefined {
  return useMemo(() => {
    if (run?.state !== "answered" || !run.answer.error?.position) return undefined;
    const { sql, before } = run.request;
    if (run.request.tabId !== tabId) return undefined;
    const { position, message } = run.answer.error;
    const { from, to } = wordAt(sql, editorOffset(sql, position));
    return { from: from + before.length, to: to + before.length, message };
  }, [run, tabId]);
}
