import { Button } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useLocation } from "@tanstack/react-router";
import { useEffect } from "react";
import { useTranslation } from "react-i18next";
import { $api } from "#/api/client";
import { billingChanged, queries } from "#/api/queries";
import type { CardView } from "#/api/types";
import { Failure } from "#/ui/Failure";
import { Bone, Loaded } from "#/ui/Loaded";
import { Panel } from "#/ui/Panel";
import ui from "#/ui/ui.module.css";
import { useCardPage } from "./useCardPage";

/** Between two looks for a card that was saved a moment ago. */
const LOOK_MS = 1_000;

/** The card that invoices are charged to. */
export function CardPanel({ organizationId }: { organizationId: string }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const isSaved = useLocation({
    select: ({ search }) => "card" in search && search.card === "saved",
  });
  const query = useQuery({
    ...queries.card(organizationId),
    // Whoever comes back from the page may be here before the word that the card is saved.
    refetchInterval: ({ state }) => (isSaved && state.data?.card === null ? LOOK_MS : false),
  });
  const hasCard = Boolean(query.data?.card);
  useEffect(() => {
    // A plan that waited for it has begun.
    if (isSaved && hasCard) void billingChanged(client);
  }, [client, isSaved, hasCard]);
  const page = useCardPage(organizationId);
  const portal = $api.useMutation("post", "/v1/organizations/{organization_id}/portal", {
    onSuccess: ({ url }) => globalThis.location.assign(url),
  });
  const error = page.error ?? portal.error;
  return (
    <Panel
      title={t("card.title")}
      lead={t("card.lead")}
      actions={
        query.data === undefined ? null : (
          <Button
            size="sm"
            variant={hasCard ? "default" : "filled"}
            loading={page.isPending || portal.isPending}
            onClick={() =>
              hasCard
                ? portal.mutate({ params: { path: { organization_id: organizationId } } })
                : page.open()
            }
          >
            {t(hasCard ? "card.change" : "card.add")}
          </Button>
        )
      }
    >
      <div className="stack">
        {error ? <Failure error={error} /> : null}
        <Loaded query={query} skeleton={<Bone height={24} />}>
          {(known) => <Known known={known} />}
        </Loaded>
      </div>
    </Panel>
  );
}

/** A brand in Stripe's words, as its cards write it. */
function brandName(brand: string): string {
  const names: Record<string, string> = {
    amex: "American Express",
    diners: "Diners Club",
    discover: "Discover",
    jcb: "JCB",
    mastercard: "Mastercard",
    unionpay: "UnionPay",
    visa: "Visa",
  };
  return names[brand] ?? brand;
}

function Known({ known: { card, refused_charges } }: { known: CardView }) {
  const { t } = useTranslation();
  return (
    <>
      <p>
        {card
          ? t("card.shown", {
              brand: brandName(card.brand),
              last4: card.last4,
              month: String(card.exp_month).padStart(2, "0"),
              year: card.exp_year,
            })
          : t("card.none")}
      </p>
      {refused_charges.map(({ invoice_id, because, url }) => (
        <p key={invoice_id} className={`${ui.note} ${ui.bad}`} role="status">
          {t("card.refused", { because })}{" "}
          {url ? (
            <a href={url} rel="noopener">
              {t("card.pay")}
            </a>
          ) : (
            <Link to="/billing/invoices/$invoiceId" params={{ invoiceId: invoice_id }}>
              {t("card.look")}
            </Link>
          )}
        </p>
      ))}
    </>
  );
}
