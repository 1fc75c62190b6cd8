import { createFileRoute } from "@tanstack/react-router";
import { SqlEditor } from "#/features/sql/SqlEditor";

export const Route = createFileRoute("/_app/databases/$databaseId/sql")({ component: Component });

function Component() {
  const { databaseId } = Route.useParams();
  return <SqlEditor key={databaseId} databaseId={databaseId} />;
}
