import { createFileRoute } from "@tanstack/react-router";
import { InvoicePage } from "#/features/billing/InvoicePage";

export const Route = createFileRoute("/_app/billing/invoices/$invoiceId")({
  component: Component,
});

function Component() {
  const { invoiceId } = Route.useParams();
  return <InvoicePage key={invoiceId} invoiceId={invoiceId} />;
}
