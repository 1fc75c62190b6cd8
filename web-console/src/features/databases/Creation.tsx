import { Button } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useEffect } from "react";
import { useTranslation } from "react-i18next";
import { useOperation } from "#/api/operation";
import { databasesChanged, queries } from "#/api/queries";
import { hasEnded, type Operation } from "#/api/types";
import { Failure } from "#/ui/Failure";
import { Bone, Loaded } from "#/ui/Loaded";
import { Page } from "#/ui/Page";
import { Panel } from "#/ui/Panel";
import { RestoreProgress } from "../backups/RestoreProgress";
import { Steps } from "./Steps";

/** Milliseconds for which the finished steps stay to be seen before the next page. */
const SEEN_MS = 700;

/** Milliseconds between looks at a restore. */
const RESTORE_POLL_MS = 1_000;

/** A database as it comes into being; then its page, with the Connect dialog open. */
export function Creation({ databaseId, operationId }: { databaseId: string; operationId: string }) {
  const { t } = useTranslation();
  const query = useOperation(operationId);
  const isWaiting = query.data === undefined || !hasEnded(query.data);
  const { data: database } = useQuery({
    ...queries.database(databaseId),
    // A restore tells there how far it is.
    refetchInterval: ({ state }) => (isWaiting && state.data?.restore ? RESTORE_POLL_MS : false),
  });
  const isInPlace = query.data !== undefined && hasPlace(query.data);
  const keptId = database?.in_place_restore?.kept_database_id;
  const { data: prepared } = useQuery({
    ...queries.database(keptId ?? ""),
    enabled: isInPlace && isWaiting && keptId !== undefined,
    refetchInterval: RESTORE_POLL_MS,
  });
  // In place, what is on its way stands with the one whose place it will take.
  const restore = isInPlace ? (isWaiting ? prepared?.restore : null) : database?.restore;
  const client = useQueryClient();
  const navigate = useNavigate();
  const succeeded = query.data?.state === "succeeded";
  useEffect(() => {
    if (!succeeded) return;
    void databasesChanged(client);
    const timer = setTimeout(() => {
      void navigate(
        isInPlace
          ? { to: "/databases/$databaseId/backups", params: { databaseId }, replace: true }
          : {
              to: "/databases/$databaseId",
              params: { databaseId },
              search: { connect: true },
              replace: true,
            },
      );
    }, SEEN_MS);
    return () => clearTimeout(timer);
  }, [succeeded, isInPlace, client, navigate, databaseId]);
  const state = query.data?.state;
  const title =
    state === "failed" || state === "cancelled"
      ? t("creation.failed")
      : succeeded
        ? t("creation.ready")
        : database
          ? t(database.restore || isInPlace ? "restore.titleNamed" : "creation.titleNamed", {
              name: database.name,
            })
          : t("creation.title");
  return (
    <Page
      title={title}
      lead={isWaiting ? t(isInPlace ? "restore.inPlaceLead" : "creation.lead") : undefined}
      narrow
    >
      <Loaded query={query} skeleton={<Bone height={220} panel />}>
        {(operation) => (
          <div className="stack">
            <Outcome operation={operation} databaseId={databaseId} />
            <Panel>
              <Steps operation={operation} />
            </Panel>
            {restore ? <RestoreProgress restore={restore} /> : null}
          </div>
        )}
      </Loaded>
    </Page>
  );
}

/** Whether the database is there already, and gets other content. */
function hasPlace({ kind }: Operation): boolean {
  return kind === "database_restore_in_place" || kind === "database_go_back";
}

function Outcome({ operation, databaseId }: { operation: Operation; databaseId: string }) {
  const { t } = useTranslation();
  if (!hasEnded(operation) || operation.state === "succeeded") return null;
  const message = operation.error ?? t("creation.cancelled");
  return (
    <>
      <Failure title={t("creation.reason")} message={message} />
      <div className="row">
        {hasPlace(operation) ? null : (
          <Button component={Link} to="/databases/new">
            {t("creation.again")}
          </Button>
        )}
        <Button
          renderRoot={(props) => (
            <Link to="/databases/$databaseId" params={{ databaseId }} {...props} />
          )}
          variant="default"
        >
          {t("creation.look")}
        </Button>
      </div>
    </>
  );
}
