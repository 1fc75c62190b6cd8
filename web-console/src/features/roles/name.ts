/** What a role or a logical database may be called: as PostgreSQL takes it without quotes. */
const NAME = /^[a-z_][a-z0-9_-]{0,62}$/;

const RESERVED = new Set(["postgres", "template0", "template1", "public", "none", "all", "user"]);

export function isPgName(name: string): boolean {
  return (
    NAME.test(name) && !name.startsWith("pg_") && !name.startsWith("lumadb_") && !RESERVED.has(name)
  );
}
