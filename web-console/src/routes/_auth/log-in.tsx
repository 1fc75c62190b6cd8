import { createFileRoute } from "@tanstack/react-router";
import { z } from "zod/mini";
import { LogIn } from "#/features/auth/LogIn";

export const Route = createFileRoute("/_auth/log-in")({
  validateSearch: z.object({ next: z.optional(z.catch(z.string(), "/")) }),
  component: Component,
});

function Component() {
  return <LogIn next={Route.useSearch().next} />;
}
