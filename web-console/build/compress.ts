import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { extname, join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import type { Plugin } from "vite";

/** Files that shrink; fonts and images are compressed by their own formats. */
const TEXT = new Set([".html", ".js", ".css", ".svg", ".json", ".txt", ".webmanifest"]);

/** Below one packet a compressed file saves nothing. */
const BYTES_MIN = 1024;

/**
 * Writes `.br` and `.gz` beside every text file of the finished build. Compressing once, at the
 * highest level, beats compressing each answer at a low one.
 */
export function compress(): Plugin {
  let folder = "";
  return {
    name: "compress",
    apply: "build",
    configResolved(config) {
      folder = join(config.root, config.build.outDir);
    },
    async closeBundle() {
      for (const entry of await readdir(folder, { recursive: true })) {
        const file = join(folder, entry);
        if (!TEXT.has(extname(file)) || entry === "manifest.json") continue;
        if ((await stat(file)).size < BYTES_MIN) continue;
        const plain = await readFile(file);
        const brotli = brotliCompressSync(plain, {
          params: {
            [constants.BROTLI_PARAM_QUALITY]: 11,
            [constants.BROTLI_PARAM_SIZE_HINT]: plain.length,
          },
        });
        await writeFile(`${file}.br`, brotli);
        await writeFile(`${file}.gz`, gzipSync(plain, { level: 9 }));
      }
    },
  };
}
