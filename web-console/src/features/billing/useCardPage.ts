import { $api } from "#/api/client";

/** Leads to the page on which a card is typed in: Stripe's own, never ours. */
export function useCardPage(organizationId: string) {
  const page = $api.useMutation("post", "/v1/organizations/{organization_id}/card", {
    onSuccess: ({ url }) => globalThis.location.assign(url),
  });
  return {
    error: page.error,
    isPending: page.isPending,
    open: () =>
      page.mutate({
        params: { path: { organization_id: organizationId } },
        body: { return_path: "/billing" },
      }),
  };
}
