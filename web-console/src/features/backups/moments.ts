import type { RestoreWindow } from "#/api/types";

/** A stretch of the timeline, from 0 (its beginning) to 1 (its end). */
export type Stretch = { from: number; until: number };

const DAY_MS = 86_400_000;

/** What a timeline shows: the plan's whole window, up to now. */
export function spanOf(window: Pick<RestoreWindow, "window_days">, now: Date) {
  return { from: now.getTime() - window.window_days * DAY_MS, until: now.getTime() };
}

/** Where on the timeline a moment lies; outside of it, at its edge. */
export function placeOf(at: string, span: { from: number; until: number }): number {
  const share = (new Date(at).getTime() - span.from) / (span.until - span.from);
  return Math.min(1, Math.max(0, share));
}

/** The parts of the timeline that can be restored to: the window without its gaps. */
export function stretchesOf(
  window: Pick<RestoreWindow, "earliest" | "latest" | "gaps" | "window_days">,
  now: Date,
): Stretch[] {
  const { earliest, latest, gaps } = window;
  if (!earliest || !latest) return [];
  const span = spanOf(window, now);
  const edges = [earliest, ...gaps.flatMap(({ from, until }) => [from, until]), latest];
  const places = edges.map((at) => placeOf(at, span));
  const stretches: Stretch[] = [];
  for (let index = 0; index + 1 < places.length; index += 2) {
    stretches.push({ from: places[index] ?? 0, until: places[index + 1] ?? 0 });
  }
  return stretches;
}

const two = (part: number) => String(part).padStart(2, "0");

/** A moment as a field for date and time takes it, in the reader's time zone, to the second. */
export function toLocalInput(at: Date): string {
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day}T${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

/** The first whole second that is not before a moment: fields hold no parts of one. */
export function secondAfter(at: string): Date {
  return new Date(Math.ceil(new Date(at).getTime() / 1000) * 1000);
}

/** What was entered there as the API takes it; none if it is no moment. */
export function fromLocalInput(text: string): string | undefined {
  // Without a zone it is read in the reader's own.
  const at = new Date(text);
  return Number.isNaN(at.getTime()) ? undefined : at.toISOString();
}

/** A moment in UTC: `2026-11-27 03:05:28 UTC`. */
export function formatUtc(at: string): string {
  return `${new Date(at).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/** Name of the reader's time zone, such as `Europe/Lisbon`. */
export function localZone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone;
}

/** How much of something is done, in hundredths; none while the whole is not known. */
export function percentOf(done: number, whole: number): number | undefined {
  return whole > 0 ? Math.min(100, Math.floor((done / whole) * 100)) : undefined;
}
