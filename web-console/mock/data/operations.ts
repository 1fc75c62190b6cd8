import type { Operation } from "../../src/api/types";
import { ago, DATABASE } from "./common.ts";

export function operation(given: Partial<Operation> = {}): Operation {
  return {
    id: "op_01jdk3x5v9e8rb6w4q2n7m0c1e",
    kind: "database_create",
    state: "succeeded",
    database_id: DATABASE,
    steps: [],
    error: null,
    created_at: ago(60),
    started_at: ago(60),
    ended_at: new Date(new Date(ago(60)).getTime() + 412).toISOString(),
    ...given,
  };
}

export const CREATION_STEPS = [
  "Reserve an address",
  "Start the engine",
  "Create role and database",
  "Accept connections",
] as const;

export const RESTORE_STEPS = [
  "Reserve an address",
  "Fetch the backup",
  "Replay the changes",
  "Accept connections",
] as const;

export const IN_PLACE_STEPS = [
  "Reserve an address for what is kept",
  "Fetch the backup",
  "Replay the changes",
  "Cut connections and change places",
  "Accept connections",
] as const;
