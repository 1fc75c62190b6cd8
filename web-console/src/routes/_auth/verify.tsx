import { createFileRoute } from "@tanstack/react-router";
import { z } from "zod/mini";
import { Verify } from "#/features/auth/Verify";

export const Route = createFileRoute("/_auth/verify")({
  validateSearch: z.object({ token: z.catch(z.string(), "") }),
  component: Component,
});

function Component() {
  return <Verify token={Route.useSearch().token} />;
}
