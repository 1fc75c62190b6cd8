import { createFileRoute } from "@tanstack/react-router";
import { Overview } from "#/features/overview/Overview";

export const Route = createFileRoute("/_app/databases/$databaseId/")({ component: Component });

function Component() {
  const { databaseId } = Route.useParams();
  return <Overview key={databaseId} databaseId={databaseId} />;
}
