/** Where to go after the log-in: a path of this console, never another site. */
export function safeNext(next: string | undefined): string {
  const home = "/databases";
  if (next === undefined || !next.startsWith("/")) return home;
  try {
    const url = new URL(next, "http://console.invalid");
    const isOurs = url.origin === "http://console.invalid";
    return isOurs && !url.pathname.startsWith("/log-in")
      ? url.pathname + url.search + url.hash
      : home;
  } catch {
    return home;
  }
}
