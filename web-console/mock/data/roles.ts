import type { LogicalDatabase, Role } from "../../src/api/types";
import { ago } from "./common.ts";

export function role(given: Partial<Role> = {}): Role {
  return {
    id: "rol_01jdk3x5v9e8rb6w4q2n7m0c1d",
    name: "owner",
    is_owner: true,
    created_at: ago(60 * 24 * 3),
    password_changed_at: ago(60 * 24 * 3),
    ...given,
  };
}

export const logicalDatabases: LogicalDatabase[] = [
  {
    id: "ldb_01jdk3x5v9e8rb6w4q2n7m0c1m",
    name: "main",
    owner_role: "owner",
    created_at: ago(60 * 24 * 3),
  },
];
