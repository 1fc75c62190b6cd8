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
import { Steps } from "./Steps";

/** Milliseconds for which the finished steps stay to be seen before the next page. */
const SEEN_MS = 700;

/** A database as it comes into being; then its page, with the Connect dialog open. */
export function Creation({ databaseId, operationId }: { databaseId: string; operationId: string }) {
  const { t } = useTranslation();
  const query = useOperation(operationId);
  const { data: database } = useQuery(queries.database(databaseId));
  const client = useQueryClient();
  const navigate = useNavigate();
  const succeeded = query.data?.state === "succeeded";
  useEffect(() => {
    if (!succeeded) return;
    void databasesChanged(client);
    const timer = setTimeout(() => {
      void navigate({
        to: "/databases/$databaseId",
        params: { databaseId },
        search: { connect: true },
        replace: true,
      });
    }, SEEN_MS);
    return () => clearTimeout(timer);
  }, [succeeded, client, navigate, databaseId]);
  const state = query.data?.state;
  const title =
    state === "failed" || state === "cancelled"
      ? t("creation.failed")
      : succeeded
        ? t("creation.ready")
        : database
          ? t("creation.titleNamed", { name: database.name })
          : t("creation.title");
  const isGoingOn = query.data === undefined || !hasEnded(query.data);
  return (
    <Page title={title} lead={isGoingOn ? t("creation.lead") : undefined} narrow>
      <Loaded query={query} skeleton={<Bone height={220} panel />}>
        {(operation) => (
          <div className="stack">
            <Outcome operation={operation} databaseId={databaseId} />
            <Panel>
              <Steps operation={operation} />
            </Panel>
          </div>
        )}
      </Loaded>
    </Page>
  );
}

function Outcome({ operation, databaseId }: { operation: Operation; databaseId: string }) {
  const { t } = useTranslation();
  if (!hasEnded(operation) || operation.state === "succeeded") return null;
  const message = operation.error ?? t("creation.cancelled");
  return (
    <>
      <Failure title={t("creation.reason")} message={message} />
      <div className="row">
        <Button component={Link} to="/databases/new">
          {t("creation.again")}
        </Button>
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
