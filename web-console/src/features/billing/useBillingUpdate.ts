import { useQueryClient } from "@tanstack/react-query";
import { $api } from "#/api/client";
import { queries } from "#/api/queries";
import type { BillingAccount, BillingUpdate } from "#/api/types";
import { notifyDone } from "#/ui/notify";

/** Changes what an organization pays as, as it was last seen. */
export function useBillingUpdate(account: BillingAccount, doneMessage: string) {
  const client = useQueryClient();
  const { queryKey } = queries.billing(account.organization_id);
  const mutation = $api.useMutation("patch", "/v1/organizations/{organization_id}/billing", {
    onSuccess: (changed) => {
      client.setQueryData(queryKey, changed);
      notifyDone(doneMessage);
    },
    onError: () => client.invalidateQueries({ queryKey }),
  });
  const update = (body: BillingUpdate) =>
    mutation.mutate({
      params: { path: { organization_id: account.organization_id } },
      headers: { "If-Match": `"${account.revision}"` },
      body,
    });
  return { update, isPending: mutation.isPending, error: mutation.error };
}
