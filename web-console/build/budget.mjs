// Holds the built console to its budget, in bytes after gzip: what the first page needs, what each
// lazily loaded part adds to it, and the style sheets. Run after `npm run build`.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const KB = 1000;
const FIRST_JS_MAX = 220 * KB;
const FIRST_CSS_MAX = 25 * KB;
const ROUTE_JS_MAX = 60 * KB;
/** Parts that a page loads when they are needed: that page, and what they may add to it. */
const PARTS = new Map([
  ["src/features/sql/Editor.tsx", [/sql\.tsx/, 150 * KB]],
  ["src/features/account/TokenCreate.tsx", [/account\/tokens/, ROUTE_JS_MAX]],
  ["src/features/overview/Plot.tsx", [/databaseId\/index\.tsx/, 50 * KB]],
]);
/** Pages that people come to first. */
const FIRST_PAGES = [
  /_auth\/log-in\.tsx/,
  /_auth\/sign-up\.tsx/,
  /_app\/route\.tsx/,
  /_app\/databases\/index\.tsx/,
];

const dist = fileURLToPath(new URL("../dist", import.meta.url));
if (!existsSync(join(dist, "manifest.json"))) {
  process.stderr.write("There is no build to weigh: run `npm run build` first.\n");
  process.exit(1);
}
const manifest = JSON.parse(readFileSync(join(dist, "manifest.json"), "utf8"));
const sizes = new Map();
const gzipped = (file) => {
  if (!sizes.has(file))
    sizes.set(file, gzipSync(readFileSync(join(dist, file)), { level: 9 }).length);
  return sizes.get(file);
};

/** Every file that a chunk needs before it runs, and their style sheets. */
function closure(key, seen = new Set(), css = new Set()) {
  const chunk = manifest[key];
  if (chunk === undefined || seen.has(chunk.file)) return { js: seen, css };
  seen.add(chunk.file);
  for (const sheet of chunk.css ?? []) css.add(sheet);
  for (const next of chunk.imports ?? []) closure(next, seen, css);
  return { js: seen, css };
}
const sum = (files) => [...files].reduce((total, file) => total + gzipped(file), 0);

const entry = Object.keys(manifest).find((key) => manifest[key].isEntry);
const base = closure(entry);
let over = 0;
function check(name, bytes, max) {
  const fits = bytes <= max;
  if (!fits) over += 1;
  process.stdout.write(
    `${fits ? "ok  " : "OVER"} ${(bytes / KB).toFixed(1).padStart(7)} of ${max / KB} kB  ${name}\n`,
  );
}

const lazy = Object.keys(manifest).filter((key) => manifest[key].isDynamicEntry);
const first = (pattern) => {
  const keys = lazy.filter((key) => pattern.test(key));
  const js = new Set(base.js);
  const css = new Set(base.css);
  for (const key of keys) closure(key, js, css);
  return { js, css };
};
// A page behind the log-in needs the frame as well.
const frame = lazy.filter((key) => /_app\/route\.tsx/.test(key));
for (const pattern of FIRST_PAGES) {
  const { js, css } = first(pattern);
  if (/databases/.test(pattern.source)) for (const key of frame) closure(key, js, css);
  const name = pattern.source.replaceAll("\\", "");
  check(`first page ${name}, scripts`, sum(js), FIRST_JS_MAX);
  check(`first page ${name}, styles`, sum(css), FIRST_CSS_MAX);
}
const behind = new Set(base.js);
for (const key of frame) closure(key, behind, new Set());
// Asked for by the entry itself, right after the first page.
for (const key of manifest[entry].dynamicImports ?? []) {
  if (key.includes("@mantine/notifications")) closure(key, behind, new Set());
}
for (const key of lazy) {
  const [page, max] = [...PARTS].find(([path]) => key.startsWith(path))?.[1] ?? [
    undefined,
    ROUTE_JS_MAX,
  ];
  const loaded = new Set(behind);
  for (const other of lazy) if (page?.test(other)) closure(other, loaded, new Set());
  const added = [...closure(key).js].filter((file) => !loaded.has(file));
  check(key, sum(added), max);
}
process.exitCode = over === 0 ? 0 : 1;
