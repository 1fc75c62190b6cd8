import { createFileRoute } from "@tanstack/react-router";
import { Roles } from "#/features/roles/Roles";

export const Route = createFileRoute("/_app/databases/$databaseId/roles")({ component: Component });

function Component() {
  const { databaseId } = Route.useParams();
  return <Roles key={databaseId} databaseId={databaseId} />;
}
