import { createFileRoute } from "@tanstack/react-router";
import { PlanPage } from "#/features/billing/PlanPage";

export const Route = createFileRoute("/_app/billing/plan")({ component: PlanPage });
