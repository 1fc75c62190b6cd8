/** One statement of a text, and the same with comments, strings and quoted names blanked out. */
export type Statement = { from: number; to: number; bare: string };

/** What a statement takes away that cannot be brought back by another. */
export type Loss = "drop" | "truncate" | "deleteAll" | "updateAll" | "dropColumn";

/** Splits at the semicolons that end statements: not those inside strings, comments or bodies. */
export function splitStatements(sql: string): Statement[] {
  const bare = blankOut(sql);
  const statements: Statement[] = [];
  let from = 0;
  for (let at = 0; at <= bare.length; at += 1) {
    if (at < bare.length && bare[at] !== ";") continue;
    const part = bare.slice(from, at);
    if (part.trim() !== "") statements.push({ from, to: at, bare: part });
    from = at + 1;
  }
  return statements;
}

/** The losses that running this text would bring, each once. */
export function lossesOf(sql: string): Loss[] {
  const losses = splitStatements(sql).map(({ bare }) => lossOf(bare));
  return [...new Set(losses.filter((loss) => loss !== undefined))];
}

function lossOf(bare: string): Loss | undefined {
  const words = bare.trim().toLowerCase().replace(/\s+/g, " ");
  if (/^drop\b/.test(words)) return "drop";
  if (/^truncate\b/.test(words)) return "truncate";
  if (
    /^alter table\b.*\bdrop\b(?! (constraint|default|not null|identity|expression))/.test(words)
  ) {
    return "dropColumn";
  }
  // A common table expression may stand before the verb, or hold one itself.
  const changes = /\b(delete) from\b|\b(update) \S.*? set\b/.exec(words);
  if (changes === null || !/^(with|delete|update|explain analyze)\b/.test(words)) return undefined;
  if (/\bwhere\b/.test(words.slice(changes.index))) return undefined;
  return changes[1] === "delete" ? "deleteAll" : "updateAll";
}

/** The text with a blank for every character that is not code; lengths and lines stay. */
function blankOut(sql: string): string {
  let out = "";
  let at = 0;
  while (at < sql.length) {
    const end = skippedFrom(sql, at);
    if (end === at) {
      out += sql[at];
      at += 1;
    } else {
      out += sql.slice(at, end).replace(/[^\n]/g, " ");
      at = end;
    }
  }
  return out;
}

/** Where the comment, string or quoted name that begins here ends; `at` itself if none does. */
function skippedFrom(sql: string, at: number): number {
  const two = sql.slice(at, at + 2);
  if (two === "--") return orEnd(sql, sql.indexOf("\n", at));
  if (two === "/*") return afterBlockComment(sql, at);
  const char = sql[at];
  if (char === "'") {
    const escapes = /(^|[^a-z0-9_])e$/i.test(sql.slice(Math.max(0, at - 2), at));
    return afterQuote(sql, at, "'", escapes);
  }
  if (char === '"') return afterQuote(sql, at, '"', false);
  if (char === "$") return afterDollarQuote(sql, at);
  return at;
}

function orEnd(sql: string, found: number): number {
  return found === -1 ? sql.length : found;
}

/** Block comments nest in PostgreSQL. */
function afterBlockComment(sql: string, start: number): number {
  let depth = 0;
  for (let at = start; at < sql.length; at += 1) {
    const two = sql.slice(at, at + 2);
    if (two === "/*") {
      depth += 1;
      at += 1;
    } else if (two === "*/") {
      depth -= 1;
      at += 1;
      if (depth === 0) return at + 1;
    }
  }
  return sql.length;
}

function afterQuote(sql: string, start: number, quote: string, escapes: boolean): number {
  for (let at = start + 1; at < sql.length; at += 1) {
    if (escapes && sql[at] === "\\") at += 1;
    else if (sql[at] === quote) {
      if (sql[at + 1] !== quote) return at + 1;
      at += 1;
    }
  }
  return sql.length;
}

function afterDollarQuote(sql: string, start: number): number {
  // `$1` is a parameter, and `a$b$` a name: neither opens a string.
  if (/[a-z0-9_$]/i.test(sql[start - 1] ?? " ")) return start;
  const tag = /^\$(?:[a-z_\u0080-\uffff][a-z0-9_\u0080-\uffff]*)?\$/i.exec(sql.slice(start))?.[0];
  if (tag === undefined) return start;
  const end = sql.indexOf(tag, start + tag.length);
  return end === -1 ? sql.length : end + tag.length;
}
