import { fileURLToPath } from "node:url";
import { tanstackRouter } from "@tanstack/router-plugin/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";
import { compress } from "./build/compress.ts";
import { mockApi } from "./mock/plugin.ts";

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));

// Where `npm run dev` finds the API; `npm run dev:mock` needs none.
const api = process.env.LUMADB_API ?? "http://127.0.0.1:8400";

export default defineConfig({
  plugins: [
    tanstackRouter({
      target: "react",
      autoCodeSplitting: true,
      quoteStyle: "double",
      semicolons: true,
    }),
    react(),
    compress(),
    mockApi({ enabled: process.env.MOCK_API === "1" }),
  ],
  resolve: { alias: { "#mock": path("./mock"), "#": path("./src") } },
  server: {
    proxy: process.env.MOCK_API === "1" ? {} : { "/v1": api, "/outbox": api },
  },
  build: {
    target: "es2023",
    assetsDir: "assets",
    // Fonts and images stay files: the content security policy admits no data: fonts.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // Read by `npm run budget`.
    manifest: "manifest.json",
  },
  test: {
    environment: "jsdom",
    setupFiles: ["./src/test/setup.ts"],
    css: false,
    testTimeout: 40_000,
    restoreMocks: true,
  },
});
