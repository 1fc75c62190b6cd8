import { HttpResponse, http, type RequestHandler } from "msw";
import * as data from "../data/index.ts";
import { paged, problem } from "./answers.ts";
import type { Cloud } from "./cloud.ts";

/** Invoices, and the draft of the next one. */
export function invoiceHandlers(state: Cloud): RequestHandler[] {
  return [
    http.get("*/v1/organizations/:id/invoices/draft", () => HttpResponse.json(data.invoiceDraft())),
    http.get("*/v1/organizations/:id/invoices", ({ request }) => paged(request, state.invoices)),
    http.get("*/v1/invoices/:id/lines/:position/hours", () => HttpResponse.json(data.lineHours())),
    http.get("*/v1/invoices/:id", ({ params }) =>
      params.id === state.invoice.id
        ? HttpResponse.json(state.invoice)
        : problem(404, "not_found", "There is no such invoice."),
    ),
  ];
}
