import { useSuspenseQuery } from "@tanstack/react-query";
import { useSyncExternalStore } from "react";
import { queries } from "#/api/queries";
import type { Me } from "#/api/types";
import { store, stored } from "#/lib/storage";

const KEY = "luma-scope";

type Choice = { organizationId: string; projectId: string };

function isChoice(value: unknown): value is Choice {
  return (
    typeof value === "object" && value !== null && "organizationId" in value && "projectId" in value
  );
}

const listeners = new Set<() => void>();
let chosen: Choice | undefined = stored(KEY, isChoice);

/** Moves the console to another organization or project; kept in this browser. */
export function chooseScope(choice: Choice): void {
  chosen = choice;
  store(KEY, choice);
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export type Organization = Me["organizations"][number];

/** Who is logged in, and the organization and project that the console looks at. */
export function useScope(): { me: Me; organization: Organization; projectId: string } {
  const { data: me } = useSuspenseQuery(queries.me());
  const choice = useSyncExternalStore(subscribe, () => chosen);
  const wanted = me.organizations.find(({ id }) => id === choice?.organizationId);
  const organization = wanted ?? me.organizations[0];
  if (organization === undefined) throw new Error("This account belongs to no organization.");
  const projectId =
    wanted !== undefined && choice !== undefined
      ? choice.projectId
      : organization.default_project_id;
  if (!projectId) throw new Error(`${organization.name} has no project yet.`);
  return { me, organization, projectId };
}
