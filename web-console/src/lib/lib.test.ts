import { describe, expect, it } from "vitest";
import { asApiError, problemOf } from "#/api/problem";
import { describeAgent } from "#/features/account/agent";
import { safeNext } from "#/features/auth/next";
import { gibibyteHours, monthStart, vcpuHours } from "#/features/overview/quantities";
import { isPgName } from "#/features/roles/name";
import { matchCommands } from "#/features/shell/commands";
import { formatBytes, formatDuration, formatRate, formatRelative } from "./format";
import { masked, passwordsIn } from "./secrets";
import { uuid } from "./uuid";

it("numbers are written with three digits that matter", () => {
  expect([0, 1023, 1024, 48_234_496, 1_288_490_188].map(formatBytes)).toEqual([
    "0 B",
    "1023 B",
    "1.00 KiB",
    "46.0 MiB",
    "1.20 GiB",
  ]);
  expect([0.42, 128.4, 2410, 61_000, 300_000].map(formatDuration)).toEqual([
    "0.4 ms",
    "128 ms",
    "2.41 s",
    "1 min 1 s",
    "5 min",
  ]);
  expect([0, 0.44, 12.54, 1204.6].map(formatRate)).toEqual(["0", "0.4", "12.5", "1,205"]);
});

it("quantities are told in hours, and those beyond 2^53 too", () => {
  expect([0, 308_768, 44_280_000].map(vcpuHours)).toEqual(["0", "0.086", "12.3"]);
  expect(gibibyteHours("139803321286")).toBe("0.036");
  expect(gibibyteHours("386547056640000000")).toBe("100,000");
  expect(monthStart(new Date("2026-11-30T23:59:59Z"))).toBe("2026-11-01T00:00:00.000Z");
});

it("moments are told from now", () => {
  const now = new Date("2026-11-23T08:00:00Z");
  expect(formatRelative("2026-11-23T07:59:30Z", now)).toBe("just now");
  expect(formatRelative("2026-11-23T05:00:00Z", now)).toBe("3 hours ago");
  expect(formatRelative("2026-11-22T07:00:00Z", now)).toBe("yesterday");
});

it("a random identifier is a UUID of version 4", () => {
  expect(uuid()).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

describe("a password inside a connection string", () => {
  it("is found in every spelling, and hidden", () => {
    const uri = "postgresql://owner.db_01:p%40ss@localhost:6432/main";
    expect(passwordsIn(uri)).toEqual(["p%40ss", "p@ss"]);
    expect(masked(`${uri} password=p@ss`, passwordsIn(uri))).not.toMatch(/p(%40|@)ss/);
  });

  it("that is not there hides nothing", () => {
    expect(passwordsIn("postgresql://owner@localhost/main")).toEqual([]);
    expect(passwordsIn("")).toEqual([]);
  });
});

it("the log-in leads to pages of this console alone", () => {
  expect(safeNext("/databases/db_01?connect=true")).toBe("/databases/db_01?connect=true");
  for (const other of [
    undefined,
    "//evil.example",
    "https://evil.example",
    "/\\evil.example",
    "/log-in?next=x",
  ]) {
    expect(safeNext(other)).toBe("/databases");
  }
});

it("names are checked as the server checks them", () => {
  expect(["app", "_x", "a-b_2"].every(isPgName)).toBe(true);
  expect(
    ["", "App", "1a", "a.b", "pg_x", "lumadb_x", "postgres", "a".repeat(64)].some(isPgName),
  ).toBe(false);
});

it("a device is told in words", () => {
  expect(
    describeAgent("Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"),
  ).toBe("Firefox on Linux");
  expect(describeAgent("curl/8.5.0")).toBe("curl");
  expect(describeAgent("")).toBeUndefined();
});

it("commands are found by their words in any order", () => {
  const command = (label: string) => ({ group: "shop", label, run: () => {} });
  const all = [command("Overview"), command("SQL editor"), command("Settings")];
  expect(matchCommands(all, "editor sh").map(({ label }) => label)).toEqual(["SQL editor"]);
  expect(matchCommands(all, "se")[0]?.label).toBe("Settings");
  expect(matchCommands(all, "nothing")).toEqual([]);
});

describe("a problem", () => {
  it("is read with its fields", async () => {
    const error = await problemOf(
      Response.json(
        {
          type: "/problems/conflict",
          title: "Conflict",
          status: 409,
          detail: "Taken.",
          errors: [{ field: "name", message: "Taken." }],
        },
        { status: 409 },
      ),
    );
    expect(error).toMatchObject({
      status: 409,
      slug: "conflict",
      message: "Taken.",
      isTransient: false,
    });
    expect(error.fields.get("name")).toBe("Taken.");
  });

  it("in another's words still says what happened", async () => {
    const error = await problemOf(
      new Response("<h1>Bad gateway</h1>", { status: 502, headers: { "retry-after": "3" } }),
    );
    expect(error).toMatchObject({ status: 502, isTransient: true, retryAfterSeconds: 3 });
    expect(error.message).toContain("502");
    expect(asApiError(new TypeError("fetch failed")).status).toBe(0);
  });
});
