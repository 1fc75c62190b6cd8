import type { ComputeSize, Database, DeletedDatabase, Region } from "../../src/api/types";
import { ago, DATABASE, ORGANIZATION, PROJECT } from "./common.ts";

export function database(given: Partial<Database> = {}): Database {
  return {
    id: DATABASE,
    project_id: PROJECT,
    organization_id: ORGANIZATION,
    name: "shop",
    region: "local",
    state: "running",
    engine_version: "18",
    engine_minor: "18.6",
    milli_vcpu: 250,
    memory_mib: 1024,
    connections_max: 100,
    deletion_protection: false,
    idle_timeout_seconds: 300,
    durability: "local",
    allowed_networks: [],
    host: "localhost",
    port: 6432,
    connections: 7,
    storage_bytes: 48_234_496,
    created_at: ago(60 * 24 * 3),
    updated_at: ago(4),
    revision: 3,
    system_identifier: "7573291045861123074",
    restore: null,
    in_place_restore: null,
    ...given,
  };
}

export function deletedDatabase(given: Partial<DeletedDatabase> = {}): DeletedDatabase {
  return {
    id: "db_01jdk3x5v9e8rb6w4q2n7m0c5a",
    project_id: PROJECT,
    name: "old-shop",
    region: "local",
    created_at: ago(60 * 24 * 30),
    deleted_at: ago(60 * 24),
    restorable_until: ago(-60 * 24 * 6),
    earliest: ago(60 * 24 * 7),
    latest: ago(60 * 24),
    ...given,
  };
}

export const regions: Region[] = [
  { name: "local", display_name: "This machine", host: "localhost", port: 6432 },
];

export const computeSizes: ComputeSize[] = [
  { milli_vcpu: 250, memory_mib: 1024, connections_max: 100 },
  { milli_vcpu: 500, memory_mib: 2048, connections_max: 200 },
  { milli_vcpu: 1000, memory_mib: 4096, connections_max: 400 },
  { milli_vcpu: 2000, memory_mib: 8192, connections_max: 800 },
];
