import { createFileRoute } from "@tanstack/react-router";
import { DatabaseCreate } from "#/features/databases/DatabaseCreate";

export const Route = createFileRoute("/_app/databases/new")({ component: DatabaseCreate });
