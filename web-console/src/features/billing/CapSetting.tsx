import { Button, TextInput } from "@mantine/core";
import { useForm } from "react-hook-form";
import { useTranslation } from "react-i18next";
import { asApiError } from "#/api/problem";
import type { BillingAccount } from "#/api/types";
import { Failure } from "#/ui/Failure";
import { Panel } from "#/ui/Panel";
import { CapOrder } from "./CapOrder";
import { parseDollars, writeDollars } from "./money";
import { useBillingUpdate } from "./useBillingUpdate";

/** The amount of a month that usage is never billed beyond. */
export function CapSetting({ account }: { account: BillingAccount }) {
  const { t } = useTranslation();
  const { update, isPending, error } = useBillingUpdate(account, t("billing.capSaved"));
  const cap = account.spend_cap_cents;
  const form = useForm({ values: { cap: cap === null ? "" : writeDollars(cap) } });
  const refused = error ? asApiError(error).fields.get("spend_cap_cents") : undefined;
  return (
    <Panel title={t("billing.cap")} lead={t("billing.capLead")}>
      <form
        className="stack"
        noValidate
        onSubmit={form.handleSubmit(({ cap }) => {
          const cents = cap.trim() === "" ? null : parseDollars(cap);
          if (cents !== undefined) update({ spend_cap_cents: cents });
        })}
      >
        {error && refused === undefined ? <Failure error={error} /> : null}
        <div className="row" style={{ alignItems: "flex-start" }}>
          <TextInput
            aria-label={t("billing.capLabel")}
            inputMode="decimal"
            leftSection="$"
            placeholder={t("billing.noCap")}
            style={{ flex: "0 1 220px" }}
            {...form.register("cap", {
              validate: (text) =>
                text.trim() === "" || parseDollars(text) !== undefined || t("billing.noAmount"),
            })}
            error={form.formState.errors.cap?.message ?? refused}
          />
          <Button
            type="submit"
            variant="default"
            loading={isPending}
            disabled={!form.formState.isDirty}
          >
            {t("save")}
          </Button>
          {cap === null ? null : (
            <Button
              variant="subtle"
              disabled={isPending}
              onClick={() => update({ spend_cap_cents: null })}
            >
              {t("billing.capRemove")}
            </Button>
          )}
        </div>
        <p className="muted">{t("billing.capHow")}</p>
      </form>
      {cap === null ? null : <CapOrder organizationId={account.organization_id} />}
    </Panel>
  );
}
