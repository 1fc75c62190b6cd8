import { describe, expect, it } from "vitest";
import {
  formatUtc,
  fromLocalInput,
  percentOf,
  placeOf,
  secondAfter,
  spanOf,
  stretchesOf,
  toLocalInput,
} from "./moments";

const now = new Date("2026-11-27T12:00:00Z");
const hoursAgo = (hours: number) => new Date(now.getTime() - hours * 3_600_000).toISOString();

describe("the timeline", () => {
  const window = { earliest: hoursAgo(12), latest: hoursAgo(0), gaps: [], window_days: 1 };

  it("covers the plan's whole window", () => {
    const span = spanOf(window, now);
    expect(placeOf(hoursAgo(24), span)).toBe(0);
    expect(placeOf(hoursAgo(6), span)).toBe(0.75);
    expect(placeOf(hoursAgo(48), span)).toBe(0);
    expect(placeOf(hoursAgo(-5), span)).toBe(1);
  });

  it("leaves out what cannot be restored to", () => {
    expect(stretchesOf(window, now)).toEqual([{ from: 0.5, until: 1 }]);
    const gaps = [{ from: hoursAgo(9), until: hoursAgo(6) }];
    expect(stretchesOf({ ...window, gaps }, now)).toEqual([
      { from: 0.5, until: 0.625 },
      { from: 0.75, until: 1 },
    ]);
    expect(stretchesOf({ ...window, earliest: null, latest: null }, now)).toEqual([]);
  });
});

describe("moments", () => {
  it("come back from the field as they were, to the second", () => {
    const text = toLocalInput(now);
    expect(text).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/);
    expect(fromLocalInput(text)).toBe(now.toISOString());
    expect(fromLocalInput("")).toBeUndefined();
    expect(fromLocalInput("yesterday")).toBeUndefined();
  });

  it("that a backup ended at lie behind it, though fields hold whole seconds", () => {
    expect(secondAfter("2026-11-27T12:00:00.001Z").toISOString()).toBe("2026-11-27T12:00:01.000Z");
    expect(secondAfter("2026-11-27T12:00:00Z").toISOString()).toBe("2026-11-27T12:00:00.000Z");
  });

  it("are told in UTC whatever the reader's zone is", () => {
    expect(formatUtc("2026-11-27T14:05:28.123+02:00")).toBe("2026-11-27 12:05:28 UTC");
  });
});

it("a share is not told while the whole is not known", () => {
  expect(percentOf(5, 0)).toBeUndefined();
  expect(percentOf(5, 10)).toBe(50);
  expect(percentOf(11, 10)).toBe(100);
});
