import { createFileRoute } from "@tanstack/react-router";
import { ApiTokens } from "#/features/account/ApiTokens";

export const Route = createFileRoute("/_app/account/tokens")({ component: ApiTokens });
