import { createFileRoute } from "@tanstack/react-router";
import { DraftPage } from "#/features/billing/Draft";

export const Route = createFileRoute("/_app/billing/draft")({ component: DraftPage });
