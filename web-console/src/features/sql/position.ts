/**
 * PostgreSQL counts an error's position in characters from 1; editors count UTF-16 units from 0.
 * Positions beyond the text are brought to its end.
 */
export function editorOffset(sql: string, position: number): number {
  let offset = 0;
  let seen = 1;
  for (const character of sql) {
    if (seen >= position) break;
    offset += character.length;
    seen += 1;
  }
  return offset;
}

/** The line of an offset and the character in it, both counted from 1, as editors show them. */
export function lineAt(text: string, offset: number): { line: number; column: number } {
  const before = text.slice(0, offset);
  const line = before.split("\n").length;
  const column = [...before.slice(before.lastIndexOf("\n") + 1)].length + 1;
  return { line, column };
}

/** The word that begins at an offset, so that there is something to underline. */
export function wordAt(text: string, offset: number): { from: number; to: number } {
  const from = Math.min(offset, Math.max(text.length - 1, 0));
  const length = /^[\p{L}\p{N}_$]+/u.exec(text.slice(from))?.[0].length ?? 1;
  return { from, to: Math.min(from + length, text.length) };
}
