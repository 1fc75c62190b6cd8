import { HttpResponse, http, type RequestHandler } from "msw";
import type { QueryAnswer } from "../../src/api/types";
import { nothing } from "./answers.ts";

/** The SQL editor. */
export const sqlHandlers: RequestHandler[] = [
  http.post("*/v1/databases/:id/query", async ({ request }) => {
    const { sql, row_limit } = (await request.json()) as { sql: string; row_limit: number };
    return HttpResponse.json(answerTo(sql, row_limit));
  }),
  http.post("*/v1/databases/:id/query/:query/cancel", nothing),
];

/** Rows for everything, but an error where the text says `form`. */
function answerTo(sql: string, rowLimit: number): QueryAnswer {
  const at = sql.search(/\bform\b/);
  if (at !== -1) {
    return {
      results: [],
      duration_ms: 1.2,
      error: {
        message: 'syntax error at or near "form"',
        code: "42601",
        detail: null,
        hint: null,
        position: at + 1,
      },
    };
  }
  const cities = ["Lisbon", "Tallinn", "Montréal", "Ōsaka", null, "Valparaíso"];
  return {
    results: [
      {
        command: `SELECT ${rowLimit}`,
        rows_affected: rowLimit,
        columns: [
          { name: "id", type: "int8" },
          { name: "customer", type: "text" },
          { name: "city", type: "text" },
          { name: "total", type: "numeric" },
          { name: "placed_at", type: "timestamptz" },
          { name: "items", type: "jsonb" },
        ],
        rows: Array.from({ length: rowLimit }, (_, index) => [
          String(1000 + index),
          `customer-${(index * 7919) % 512}@example.com`,
          cities[index % cities.length] ?? null,
          ((index * 37.13) % 900).toFixed(2),
          new Date(Date.UTC(2026, 10, 1, index % 24, index % 60)).toISOString(),
          `[{"sku": "A-${index % 40}", "count": ${(index % 3) + 1}}]`,
        ]),
        truncated: true,
      },
    ],
    duration_ms: 12.4,
    error: null,
  };
}
