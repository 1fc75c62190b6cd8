import { createFileRoute } from "@tanstack/react-router";
import { z } from "zod/mini";
import { ResetPassword } from "#/features/auth/ResetPassword";

export const Route = createFileRoute("/_auth/reset")({
  validateSearch: z.object({ token: z.catch(z.string(), "") }),
  component: Component,
});

function Component() {
  return <ResetPassword token={Route.useSearch().token} />;
}
