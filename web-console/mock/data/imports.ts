import type { Import } from "../../src/api/types";
import { ago, DATABASE } from "./common.ts";

export function importOf(given: Partial<Import> = {}): Import {
  return {
    id: "imp_01jdk3x5v9e8rb6w4q2n7m0c1a",
    database_id: DATABASE,
    logical_database: "main",
    source: { host: "db.example.com", port: 5432, database: "shop", user: "ada" },
    state: "copying",
    is_cancelling: false,
    tables_done: 3,
    tables_total: 12,
    bytes_copied: 30_000_000,
    source_bytes: 120_000_000,
    continuous: false,
    is_completing: false,
    lag_bytes: null,
    last_change_at: null,
    error: null,
    created_at: ago(2),
    started_at: ago(2),
    ended_at: null,
    ...given,
  };
}
