import { createFileRoute, Outlet } from "@tanstack/react-router";
import { z } from "zod/mini";
import { DatabaseFrame } from "#/features/databases/DatabaseFrame";

export const Route = createFileRoute("/_app/databases/$databaseId")({
  // Whether the Connect dialog is open: in the address, so that it can be linked to.
  validateSearch: z.object({ connect: z.optional(z.catch(z.boolean(), false)) }),
  component: Component,
});

function Component() {
  const { databaseId } = Route.useParams();
  const { connect } = Route.useSearch();
  return (
    <DatabaseFrame databaseId={databaseId} connecting={connect === true}>
      <Outlet />
    </DatabaseFrame>
  );
}
