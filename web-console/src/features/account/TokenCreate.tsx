import { Button, Modal, NativeSelect, Switch, TextInput } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { useForm } from "react-hook-form";
import { useTranslation } from "react-i18next";
import { $api } from "#/api/client";
import { asApiError } from "#/api/problem";
import { queries } from "#/api/queries";
import { Failure } from "#/ui/Failure";
import { SecretText } from "#/ui/Secret";

const DAYS = [7, 30, 90, 365] as const;

/** Makes a token, and shows it the one time that it can be shown. */
export default function TokenCreate({
  organizationId,
  onClose,
}: {
  organizationId: string;
  onClose: () => void;
}) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const form = useForm({ defaultValues: { name: "", days: "90", read_only: false } });
  const create = $api.useMutation("post", "/v1/organizations/{organization_id}/tokens", {
    onSuccess: () =>
      client.invalidateQueries({ queryKey: queries.tokens(organizationId).queryKey }),
  });
  if (create.data !== undefined) {
    const { secret } = create.data;
    return (
      <Modal opened onClose={onClose} title={t("tokens.readyTitle")} closeOnClickOutside={false}>
        <div className="stack">
          <p className="muted">{t("tokens.ready")}</p>
          <SecretText text={secret} secrets={[secret]} label={t("tokens.token")} />
          <div className="end">
            <Button onClick={onClose}>{t("done")}</Button>
          </div>
        </div>
      </Modal>
    );
  }
  const refused = create.error ? asApiError(create.error).fields.get("name") : undefined;
  return (
    <Modal opened onClose={onClose} title={t("tokens.create")}>
      <form
        className="stack"
        noValidate
        onSubmit={form.handleSubmit(({ name, days, read_only }) =>
          create.mutate({
            params: { path: { organization_id: organizationId } },
            body: { name: name.trim(), expires_in_days: Number(days), read_only },
          }),
        )}
      >
        {create.error && refused === undefined ? <Failure error={create.error} /> : null}
        <TextInput
          label={t("form.nameOf")}
          placeholder={t("tokens.placeholder")}
          maxLength={63}
          autoComplete="off"
          data-autofocus
          {...form.register("name", {
            validate: (name) => name.trim() !== "" || t("form.required"),
          })}
          error={form.formState.errors.name?.message ?? refused}
        />
        <NativeSelect
          label={t("tokens.expires")}
          data={DAYS.map((days) => ({
            value: String(days),
            label: t("tokens.days", { count: days }),
          }))}
          value={form.watch("days")}
          onChange={(event) => form.setValue("days", event.currentTarget.value)}
        />
        <Switch
          label={t("tokens.readOnlyLabel")}
          checked={form.watch("read_only")}
          onChange={(event) => form.setValue("read_only", event.currentTarget.checked)}
        />
        <div className="end">
          <Button variant="default" onClick={onClose} disabled={create.isPending}>
            {t("cancel")}
          </Button>
          <Button type="submit" loading={create.isPending}>
            {t("tokens.create")}
          </Button>
        </div>
      </form>
    </Modal>
  );
}
