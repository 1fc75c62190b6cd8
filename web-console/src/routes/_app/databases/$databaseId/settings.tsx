import { createFileRoute } from "@tanstack/react-router";
import { Settings } from "#/features/settings/Settings";

export const Route = createFileRoute("/_app/databases/$databaseId/settings")({
  component: Component,
});

function Component() {
  const { databaseId } = Route.useParams();
  return <Settings key={databaseId} databaseId={databaseId} />;
}
