/** What the whole mocked cloud shares: who it belongs to, and how it tells the time. */
export const PASSWORD = "mK3v9QxT7rLw2ZpB5nYc";
export const ORGANIZATION = "org_01jdk3x5v9e8rb6w4q2n7m0c1a";
export const PROJECT = "prj_01jdk3x5v9e8rb6w4q2n7m0c1b";
export const DATABASE = "db_01jdk3x5v9e8rb6w4q2n7m0c1c";

export const GB = 1_000_000_000;

/** Minutes ago, as the API writes it. */
export function ago(minutes: number): string {
  return new Date(Date.now() - minutes * 60_000).toISOString();
}

/** An identifier of its own for the next of several. */
export function nextId(prefix: string, count: number): string {
  return `${prefix}_01jdk3x5v9e8rb6w4q2n7m${String(count).padStart(4, "0")}`;
}
