import { createFileRoute } from "@tanstack/react-router";
import { Imports } from "#/features/imports/Imports";

export const Route = createFileRoute("/_app/databases/$databaseId/imports")({
  component: Component,
});

function Component() {
  const { databaseId } = Route.useParams();
  return <Imports key={databaseId} databaseId={databaseId} />;
}
