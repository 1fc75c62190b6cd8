import { expect, it } from "vitest";
import { formatCents, formatSold, formatSpan, parseDollars, writeDollars } from "./money";

it("writes cents with a sign, a symbol and commas", () => {
  expect(formatCents(0)).toBe("$0.00");
  expect(formatCents(123_456)).toBe("$1,234.56");
  expect(formatCents(-500)).toBe("−$5.00");
});

it("writes counts that no number holds, and never nothing for something", () => {
  const unit = "2592000000000000000000";
  expect(formatSold("327888000000000000000000", unit)).toBe("126.5");
  expect(formatSold("1", unit)).toBe("< 0.001");
  expect(formatSold("0", unit)).toBe("0");
  expect(formatSold("-3888000000000000000000", unit)).toBe("−1.5");
  expect(formatSold("1234567000000", "1000000")).toBe("1,234,567");
});

it("reads dollars as people type them, and nothing else", () => {
  expect(parseDollars("50")).toBe(5_000);
  expect(parseDollars(" $1,049.9 ")).toBe(104_990);
  expect(parseDollars("0.05")).toBe(5);
  for (const text of ["", "-1", "1.234", "ten", "1e3", "."]) {
    expect(parseDollars(text)).toBeUndefined();
  }
  expect(writeDollars(5_000)).toBe("50");
  expect(writeDollars(4_990)).toBe("49.90");
});

it("ends a span of whole days with its last day", () => {
  expect(formatSpan("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z")).toMatch(
    /^Nov 1\s–\s30, 2026$/,
  );
  expect(formatSpan("2026-11-07T13:17:42Z", "2026-12-01T00:00:00Z")).toContain("13:17:42");
});
