import { createFileRoute } from "@tanstack/react-router";
import { z } from "zod/mini";
import { LogIn } from "#/features/auth/LogIn";

export const Route = createFileRoute("/_auth/log-in")({
  validateSearch: z.object({
    next: z.optional(z.catch(z.string(), "/")),
    ended: z.optional(z.catch(z.boolean(), false)),
  }),
  component: Component,
});

function Component() {
  const { next, ended = false } = Route.useSearch();
  return <LogIn next={next} ended={ended} />;
}
