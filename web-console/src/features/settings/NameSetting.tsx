import { Button, TextInput } from "@mantine/core";
import { useForm } from "react-hook-form";
import { useTranslation } from "react-i18next";
import { asApiError } from "#/api/problem";
import type { Database } from "#/api/types";
import { Failure } from "#/ui/Failure";
import { Panel } from "#/ui/Panel";
import { useUpdate } from "./useUpdate";

export function NameSetting({ database }: { database: Database }) {
  const { t } = useTranslation();
  const { update, isPending, error } = useUpdate(database, t("settings.renamed"));
  const form = useForm({ values: { name: database.name } });
  const refused = error ? asApiError(error).fields.get("name") : undefined;
  const wanted = form.watch("name").trim();
  return (
    <Panel title={t("settings.name")} lead={t("settings.nameLead")}>
      <form
        className="stack"
        noValidate
        onSubmit={form.handleSubmit(({ name }) => update({ name: name.trim() }))}
      >
        {error && refused === undefined ? <Failure error={error} /> : null}
        <div className="row" style={{ alignItems: "flex-start" }}>
          <TextInput
            aria-label={t("settings.name")}
            maxLength={63}
            style={{ flex: "1 1 220px" }}
            {...form.register("name", {
              validate: (name) => name.trim() !== "" || t("form.required"),
            })}
            error={form.formState.errors.name?.message ?? refused}
          />
          <Button
            type="submit"
            variant="default"
            loading={isPending}
            disabled={wanted === database.name}
          >
            {t("save")}
          </Button>
        </div>
      </form>
    </Panel>
  );
}
