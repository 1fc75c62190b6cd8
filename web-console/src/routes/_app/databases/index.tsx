import { createFileRoute } from "@tanstack/react-router";
import { DatabaseList } from "#/features/databases/DatabaseList";

export const Route = createFileRoute("/_app/databases/")({ component: DatabaseList });
