import { createFileRoute } from "@tanstack/react-router";
import { Backups } from "#/features/backups/Backups";

export const Route = createFileRoute("/_app/databases/$databaseId/backups")({
  component: Component,
});

function Component() {
  const { databaseId } = Route.useParams();
  return <Backups key={databaseId} databaseId={databaseId} />;
}
