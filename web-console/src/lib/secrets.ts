/**
 * The password inside a connection URI, in each spelling in which it may stand in other forms:
 * as written there (percent-encoded) and as it is. Longest first.
 */
export function passwordsIn(uri: string): string[] {
  const encoded = /^[a-z0-9+]+:\/\/[^:@/]*:([^@/]+)@/i.exec(uri)?.[1];
  if (encoded === undefined) return [];
  const spellings = new Set([encoded]);
  try {
    spellings.add(decodeURIComponent(encoded));
  } catch {
    // Not percent-encoded after all: the one spelling is the password.
  }
  return [...spellings].sort((one, other) => other.length - one.length);
}

const DOTS = "••••••••••••";

/** The text with dots in place of every secret. */
export function masked(text: string, secrets: readonly string[]): string {
  return secrets.reduce((shown, secret) => shown.replaceAll(secret, DOTS), text);
}
