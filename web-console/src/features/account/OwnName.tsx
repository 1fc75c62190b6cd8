import { Button, TextInput } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { useForm } from "react-hook-form";
import { useTranslation } from "react-i18next";
import { $api } from "#/api/client";
import { asApiError } from "#/api/problem";
import { queries } from "#/api/queries";
import type { Me } from "#/api/types";
import { Failure } from "#/ui/Failure";
import { notifyDone } from "#/ui/notify";
import { Panel } from "#/ui/Panel";

/** What the person is called, here and in our mails. */
export function OwnName({ user }: { user: Me["user"] }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const form = useForm({ values: { name: user.display_name } });
  const rename = $api.useMutation("patch", "/v1/me", {
    onSuccess: async (changed) => {
      const { queryKey } = queries.me();
      client.setQueryData<Me>(queryKey, (me) => me && { ...me, user: changed });
      notifyDone(t("account.renamed"));
      await client.invalidateQueries({ queryKey });
    },
  });
  const refused = rename.error ? asApiError(rename.error).fields.get("display_name") : undefined;
  const wanted = form.watch("name").trim();
  return (
    <Panel title={t("form.name")} lead={t("account.nameLead")}>
      <form
        className="stack"
        noValidate
        style={{ maxWidth: 420 }}
        onSubmit={form.handleSubmit(({ name }) =>
          rename.mutate({ body: { display_name: name.trim() } }),
        )}
      >
        {rename.error && refused === undefined ? <Failure error={rename.error} /> : null}
        <div className="row" style={{ alignItems: "flex-start" }}>
          <TextInput
            aria-label={t("form.name")}
            autoComplete="name"
            maxLength={100}
            style={{ flex: "1 1 220px" }}
            {...form.register("name", {
              validate: (name) => name.trim() !== "" || t("form.required"),
            })}
            error={form.formState.errors.name?.message ?? refused}
          />
          <Button
            type="submit"
            variant="default"
            loading={rename.isPending}
            disabled={wanted === user.display_name}
          >
            {t("save")}
          </Button>
        </div>
      </form>
    </Panel>
  );
}
