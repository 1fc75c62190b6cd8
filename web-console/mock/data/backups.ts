import type { Backup, Drill, RestorePoint, RestoreWindow } from "../../src/api/types";
import { ago, DATABASE } from "./common.ts";

export function restoreWindow(given: Partial<RestoreWindow> = {}): RestoreWindow {
  return {
    earliest: ago(60 * 24 * 3),
    latest: ago(0),
    earliest_lsn: "0/2000028",
    latest_lsn: "0/9A41F30",
    gaps: [],
    window_days: 7,
    lag_ms_max: 1000,
    lag_ms: 0,
    lag_bytes: 0,
    is_stuck: false,
    ...given,
  };
}

export function backup(given: Partial<Backup> = {}): Backup {
  return {
    id: "bak_01jdk3x5v9e8rb6w4q2n7m0c1p",
    database_id: DATABASE,
    name: null,
    origin: "scheduled",
    kind: "full",
    state: "complete",
    requested_at: ago(60 * 24),
    started_at: ago(60 * 24),
    ended_at: ago(60 * 24 - 1),
    start_lsn: "0/2000028",
    end_lsn: "0/2000158",
    bytes_read: 48_234_496,
    bytes_expected: 48_234_496,
    bytes_stored: 7_340_032,
    parent_id: null,
    ...given,
  };
}

export function backups(): Backup[] {
  return [
    backup({
      id: "bak_01jdk3x5v9e8rb6w4q2n7m0c1s",
      name: "before the migration",
      origin: "manual",
      state: "running",
      requested_at: ago(1),
      started_at: ago(1),
      ended_at: null,
      bytes_read: 30_000_000,
      bytes_stored: 4_200_000,
    }),
    backup(),
    backup({
      id: "bak_01jdk3x5v9e8rb6w4q2n7m0c1n",
      state: "failed",
      requested_at: ago(60 * 48 + 12),
      ended_at: ago(60 * 48 + 11),
      bytes_stored: 0,
    }),
    backup({
      id: "bak_01jdk3x5v9e8rb6w4q2n7m0c1m",
      requested_at: ago(60 * 24 * 3),
      ended_at: ago(60 * 24 * 3),
    }),
  ];
}

export function drill(given: Partial<Drill> = {}): Drill {
  return {
    id: "drl_01jdk3x5v9e8rb6w4q2n7m0c1v",
    database_id: DATABASE,
    state: "succeeded",
    started_at: ago(60 * 24 * 2),
    ended_at: ago(60 * 24 * 2 - 1),
    rpo_ms: 0,
    rto_ms: 6_410,
    reached: ago(60 * 24 * 2),
    restored_bytes: 7_340_032,
    tables_checked: 68,
    indexes_checked: 131,
    fault: null,
    ...given,
  };
}

export function restorePoint(given: Partial<RestorePoint> = {}): RestorePoint {
  return {
    id: "rpt_01jdk3x5v9e8rb6w4q2n7m0c1q",
    name: "release 7",
    created_at: ago(60 * 40),
    made_at: ago(60 * 40),
    lsn: "0/51C0A28",
    ...given,
  };
}
