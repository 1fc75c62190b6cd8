import type { Metrics, OrganizationUsage, Usage, UsageSamples } from "../../src/api/types";
import { GB } from "./common.ts";

export function usage(): Usage {
  const totals = {
    requests: 1_284_031,
    errors: 12,
    transfer_out_bytes: 4_831_838_208,
    vector_operations: 0,
    compute_milli_vcpu_seconds: 44_280_000,
    storage_byte_seconds: "1546188226560000",
  };
  return {
    from: "2026-11-01T00:00:00Z",
    to: "2026-11-27T00:00:00Z",
    granularity: "day",
    totals,
    items: [{ start: "2026-11-26T00:00:00Z", ...totals }],
  };
}

/** What databases used that each used the same. */
export function organizationUsage(databases: OrganizationUsage["databases"]): OrganizationUsage {
  const { totals, items, ...asked } = usage();
  const times = databases.length;
  return {
    ...asked,
    group_by: "database",
    totals: {
      requests: totals.requests * times,
      errors: totals.errors * times,
      transfer_out_bytes: totals.transfer_out_bytes * times,
      vector_operations: totals.vector_operations * times,
      compute_milli_vcpu_seconds: totals.compute_milli_vcpu_seconds * times,
      storage_byte_seconds: String(BigInt(totals.storage_byte_seconds) * BigInt(times)),
    },
    items: items.flatMap((item) =>
      databases.map(({ id, project_id }) => ({ ...item, project_id, database_id: id })),
    ),
    databases,
  };
}

/** Samples of an hour, on two pages. */
export function usageSamples(hour: string, cursor: string | null): UsageSamples {
  const second = cursor === "second";
  const at = new Date(new Date(hour).getTime() + (second ? 120_000 : 60_000)).toISOString();
  return {
    hour,
    items: [
      {
        incarnation_id: "inc_01jdk3x5v9e8rb6w4q2n7m0c5f",
        sequence: second ? 2 : 1,
        taken_at: at,
        received_at: at,
        storage_bytes: GB,
        added: {
          requests: second ? 2_345 : 1_234,
          errors: 0,
          transfer_out_bytes: 5_000,
          vector_operations: 0,
        },
      },
    ],
    spans: second ? [] : [{ from: hour, to: at, milli_vcpu: 250 }],
    next_cursor: second ? null : "second",
  };
}

/** A quarter of an hour of a shop that is neither quiet nor busy. */
export function metrics(): Metrics {
  const interval = 5;
  const points = Array.from({ length: 180 }, (_, index) => {
    const wave = Math.sin(index / 17) * 18 + Math.sin(index / 5.3) * 6 + Math.sin(index * 12.9) * 3;
    return {
      at: new Date(Date.now() - (180 - index) * interval * 1000).toISOString(),
      requests_per_second: Math.max(0, 46 + wave),
      errors_per_second: 0,
      connections: Math.round(7 + Math.sin(index / 23) * 3),
      storage_bytes: 47_100_000 + index * 6_300,
      transfer_out_bytes_per_second: 9_000 + wave * 40,
    };
  });
  return { interval_seconds: interval, points };
}
