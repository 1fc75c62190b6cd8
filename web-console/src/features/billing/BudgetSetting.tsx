import { ActionIcon, Button, TextInput } from "@mantine/core";
import IconX from "@tabler/icons-react/dist/esm/icons/IconX.mjs";
import { useForm } from "react-hook-form";
import { useTranslation } from "react-i18next";
import { asApiError } from "#/api/problem";
import type { BillingAccount } from "#/api/types";
import { Failure } from "#/ui/Failure";
import { Panel } from "#/ui/Panel";
import { formatCents, parseDollars } from "./money";
import { useBillingUpdate } from "./useBillingUpdate";

/** As many as the API takes. */
const BUDGETS_MAX = 10;

/** Amounts of a month at which a mail is sent. */
export function BudgetSetting({ account }: { account: BillingAccount }) {
  const { t } = useTranslation();
  const { update, isPending, error } = useBillingUpdate(account, t("billing.budgetSaved"));
  const form = useForm({ defaultValues: { amount: "" } });
  const budgets = account.budgets_cents;
  const refused = error ? asApiError(error).fields.get("budgets_cents") : undefined;
  return (
    <Panel title={t("billing.budgets")} lead={t("billing.budgetsLead")}>
      <div className="stack">
        {error && refused === undefined ? <Failure error={error} /> : null}
        {budgets.length === 0 ? null : (
          <ul className="row" style={{ listStyle: "none" }}>
            {budgets.map((cents) => (
              <li key={cents} className="row">
                <span className="tabular">{formatCents(cents)}</span>
                <ActionIcon
                  variant="subtle"
                  aria-label={t("billing.budgetRemove", { amount: formatCents(cents) })}
                  disabled={isPending}
                  onClick={() =>
                    update({ budgets_cents: budgets.filter((other) => other !== cents) })
                  }
                >
                  <IconX size={15} />
                </ActionIcon>
              </li>
            ))}
          </ul>
        )}
        {budgets.length >= BUDGETS_MAX ? null : (
          <form
            className="row"
            style={{ alignItems: "flex-start" }}
            noValidate
            onSubmit={form.handleSubmit(({ amount }) => {
              const cents = parseDollars(amount);
              if (cents === undefined) return;
              update({ budgets_cents: [...budgets, cents] });
              form.reset();
            })}
          >
            <TextInput
              aria-label={t("billing.budgetLabel")}
              inputMode="decimal"
              leftSection="$"
              style={{ flex: "0 1 220px" }}
              {...form.register("amount", {
                validate: (text) => parseDollars(text) !== undefined || t("billing.noAmount"),
              })}
              error={form.formState.errors.amount?.message ?? refused}
            />
            <Button type="submit" variant="default" loading={isPending}>
              {t("billing.budgetAdd")}
            </Button>
          </form>
        )}
      </div>
    </Panel>
  );
}
