import { Button, TextInput } from "@mantine/core";
import { useForm } from "react-hook-form";
import { useTranslation } from "react-i18next";
import { asApiError } from "#/api/problem";
import type { BillingAccount } from "#/api/types";
import { Failure } from "#/ui/Failure";
import { Panel } from "#/ui/Panel";
import css from "./billing.module.css";
import { useBillingUpdate } from "./useBillingUpdate";

const ADDRESS = ["line1", "line2", "postal_code", "city", "state", "country"] as const;

/** Whom invoices are addressed to, and where they are sent. */
export function AddressSetting({ account }: { account: BillingAccount }) {
  const { t } = useTranslation();
  const { update, isPending, error } = useBillingUpdate(account, t("billing.addressSaved"));
  const form = useForm({
    values: {
      name: account.name ?? "",
      email: account.email ?? "",
      tax_id: account.tax_id ?? "",
      ...account.address,
    },
  });
  const fields = error ? asApiError(error).fields : new Map<string, string>();
  const orNull = (text: string) => (text.trim() === "" ? null : text.trim());
  return (
    <Panel title={t("billing.address")} lead={t("billing.addressLead")}>
      <form
        className="stack"
        noValidate
        onSubmit={form.handleSubmit(({ name, email, tax_id, ...address }) =>
          update({
            name: orNull(name),
            email: orNull(email),
            tax_id: orNull(tax_id),
            address: { ...address, country: address.country.trim().toUpperCase() },
          }),
        )}
      >
        {error && fields.size === 0 ? <Failure error={error} /> : null}
        <div className={css.fields}>
          <TextInput
            label={t("billing.field.name")}
            autoComplete="organization"
            maxLength={200}
            {...form.register("name")}
            error={fields.get("name")}
          />
          <TextInput
            label={t("billing.field.email")}
            type="email"
            autoComplete="email"
            placeholder={t("billing.toOwners")}
            {...form.register("email")}
            error={fields.get("email")}
          />
          <TextInput
            label={t("billing.field.tax_id")}
            maxLength={50}
            {...form.register("tax_id")}
            error={fields.get("tax_id")}
          />
          {ADDRESS.map((field) => (
            <TextInput
              key={field}
              label={t(`billing.field.${field}`)}
              maxLength={field === "country" ? 2 : 100}
              {...form.register(field)}
              error={fields.get(`address.${field}`)}
            />
          ))}
        </div>
        <div>
          <Button
            type="submit"
            variant="default"
            loading={isPending}
            disabled={!form.formState.isDirty}
          >
            {t("save")}
          </Button>
        </div>
      </form>
    </Panel>
  );
}
