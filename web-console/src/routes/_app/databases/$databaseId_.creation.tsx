import { createFileRoute } from "@tanstack/react-router";
import { z } from "zod/mini";
import { Creation } from "#/features/databases/Creation";

export const Route = createFileRoute("/_app/databases/$databaseId_/creation")({
  validateSearch: z.object({ operation: z.string() }),
  component: Component,
});

function Component() {
  const { databaseId } = Route.useParams();
  const { operation } = Route.useSearch();
  return <Creation databaseId={databaseId} operationId={operation} />;
}
