import type { QueryResult } from "#/api/types";

/** RFC 4180, with the names in the first line. A null is an empty field, an empty text is `""`. */
export function toCsv({ columns, rows }: Pick<QueryResult, "columns" | "rows">): string {
  const lines = [columns.map(({ name }) => csvField(name)).join(",")];
  for (const row of rows) lines.push(row.map(csvField).join(","));
  return `${lines.join("\r\n")}\r\n`;
}

function csvField(value: string | null): string {
  if (value === null) return "";
  if (value === "" || /[",\r\n]/.test(value)) return `"${value.replaceAll('"', '""')}"`;
  return value;
}

const WHOLE = new Set(["int2", "int4", "smallint", "integer"]);

/** An array of objects. Numbers that JSON's readers would round stay texts. */
export function toJson({ columns, rows }: Pick<QueryResult, "columns" | "rows">): string {
  const names = uniqueNames(columns.map(({ name }) => name));
  const objects = rows.map((row) =>
    Object.fromEntries(
      row.map((value, index) => [
        names[index] ?? String(index),
        jsonValue(value, columns[index]?.type),
      ]),
    ),
  );
  return `${JSON.stringify(objects, null, 2)}\n`;
}

/** Two columns may have one name; in an object the second would hide the first. */
function uniqueNames(names: readonly string[]): string[] {
  const seen = new Map<string, number>();
  return names.map((name) => {
    const count = (seen.get(name) ?? 0) + 1;
    seen.set(name, count);
    return count === 1 ? name : `${name}_${count}`;
  });
}

function jsonValue(value: string | null, type: string | undefined): unknown {
  if (value === null || type === undefined) return value;
  if (WHOLE.has(type)) return Number(value);
  if (type === "bool" || type === "boolean") return value === "t" || value === "true";
  if (type === "json" || type === "jsonb") {
    try {
      return JSON.parse(value) as unknown;
    } catch {
      return value;
    }
  }
  return value;
}

const NUMBERS =
  /^(int[248]|smallint|integer|bigint|numeric(\(.*\))?|float[48]|real|double precision|oid|money)$/;

/** Whether a column's values are numbers, which stand at the right. */
export function isNumeric(type: string): boolean {
  return NUMBERS.test(type);
}
