import { useQueryClient } from "@tanstack/react-query";
import { $api } from "#/api/client";
import { databasesChanged, queries } from "#/api/queries";
import type { Database } from "#/api/types";
import { notifyDone } from "#/ui/notify";

type Change = {
  name?: string;
  deletion_protection?: boolean;
  milli_vcpu?: number;
  durability?: Database["durability"];
  allowed_networks?: string[];
};

/**
 * Changes a database as it was last seen: had somebody else changed it meanwhile, the server
 * refuses, and nothing of theirs is written over.
 */
export function useUpdate(database: Database, doneMessage: string) {
  const client = useQueryClient();
  const mutation = $api.useMutation("patch", "/v1/databases/{database_id}", {
    onSuccess: async (answer) => {
      client.setQueryData(queries.database(database.id).queryKey, answer.database);
      notifyDone(doneMessage);
      await databasesChanged(client);
    },
    onError: () => databasesChanged(client),
  });
  const update = (body: Change, onSuccess?: () => void) =>
    mutation.mutate(
      {
        params: { path: { database_id: database.id } },
        headers: { "If-Match": `"${database.revision}"` },
        body,
      },
      { onSuccess },
    );
  return { update, isPending: mutation.isPending, error: mutation.error };
}
