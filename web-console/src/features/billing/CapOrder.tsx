import { ActionIcon } from "@mantine/core";
import IconArrowDown from "@tabler/icons-react/dist/esm/icons/IconArrowDown.mjs";
import IconArrowUp from "@tabler/icons-react/dist/esm/icons/IconArrowUp.mjs";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { $api } from "#/api/client";
import { queries } from "#/api/queries";
import type { SpendCapStages } from "#/api/types";
import { Failure } from "#/ui/Failure";
import { Bone, Loaded } from "#/ui/Loaded";
import { notifyDone } from "#/ui/notify";
import { State } from "#/ui/State";

/** Which databases stop first once the cap is used, and how far each is. */
export function CapOrder({ organizationId }: { organizationId: string }) {
  const { t } = useTranslation();
  const query = useQuery(queries.capOrder(organizationId));
  return (
    <div className="stack">
      <h3>{t("billing.capOrder")}</h3>
      <p className="muted">{t("billing.capOrderLead")}</p>
      <Loaded query={query} skeleton={<Bone height={60} />}>
        {(stages) => <Databases organizationId={organizationId} stages={stages} />}
      </Loaded>
    </div>
  );
}

function Databases({
  organizationId,
  stages: { databases },
}: {
  organizationId: string;
  stages: SpendCapStages;
}) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const mutation = $api.useMutation("put", "/v1/organizations/{organization_id}/spend-cap-order", {
    onSuccess: (stages) => {
      client.setQueryData(queries.capOrder(organizationId).queryKey, stages);
      notifyDone(t("billing.capOrderSaved"));
    },
  });
  /** Has a database change places with the one before it. */
  const raise = (index: number) => {
    const ids = databases.map(({ id }) => id);
    ids.splice(index - 1, 0, ...ids.splice(index, 1));
    mutation.mutate({
      params: { path: { organization_id: organizationId } },
      body: { database_ids: ids },
    });
  };
  return (
    <>
      {mutation.error ? <Failure error={mutation.error} /> : null}
      <ol className="stack" style={{ gap: 6, paddingLeft: 22 }}>
        {databases.map(({ id, name, stage }, index) => (
          <li key={id}>
            <div className="row">
              <span>{name}</span>
              {stage === null ? null : (
                <State
                  tone={stage === "asleep" ? "bad" : "warm"}
                  label={t(`billing.capStage.${stage}`)}
                />
              )}
              <ActionIcon
                variant="subtle"
                aria-label={t("billing.capEarlier", { name })}
                disabled={index === 0 || mutation.isPending}
                onClick={() => raise(index)}
              >
                <IconArrowUp size={15} />
              </ActionIcon>
              <ActionIcon
                variant="subtle"
                aria-label={t("billing.capLater", { name })}
                disabled={index === databases.length - 1 || mutation.isPending}
                onClick={() => raise(index + 1)}
              >
                <IconArrowDown size={15} />
              </ActionIcon>
            </div>
          </li>
        ))}
      </ol>
    </>
  );
}
