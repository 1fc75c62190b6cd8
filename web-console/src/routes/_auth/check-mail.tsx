import { createFileRoute } from "@tanstack/react-router";
import { z } from "zod/mini";
import { CheckMail } from "#/features/auth/CheckMail";

export const Route = createFileRoute("/_auth/check-mail")({
  validateSearch: z.object({
    email: z.catch(z.string(), ""),
    purpose: z.catch(z.enum(["verify", "reset"]), "verify"),
  }),
  component: Component,
});

function Component() {
  return <CheckMail {...Route.useSearch()} />;
}
