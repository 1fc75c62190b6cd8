import { Button, Textarea } from "@mantine/core";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { asApiError } from "#/api/problem";
import type { Database } from "#/api/types";
import { Failure } from "#/ui/Failure";
import { Panel } from "#/ui/Panel";
import { useScope } from "../shell/useScope";
import { useUpdate } from "./useUpdate";

/** What was typed, one network a line or between commas. */
function networksOf(text: string): string[] {
  return text.split(/[\s,]+/).filter((word) => word !== "");
}

export function NetworksSetting({ database }: { database: Database }) {
  const { t } = useTranslation();
  const address = useScope().me.client_address;
  const { update, isPending, error } = useUpdate(database, t("settings.saved"));
  const known = database.allowed_networks;
  const [typed, setTyped] = useState<string>();
  const refused = error ? asApiError(error).fields.get("allowed_networks") : undefined;
  const shown = typed ?? known.join("\n");
  const wanted = typed === undefined ? known : networksOf(typed);
  return (
    <Panel title={t("settings.networks")} lead={t("settings.networksLead")}>
      <form
        className="stack"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          update({ allowed_networks: wanted }, () => setTyped(undefined));
        }}
      >
        {error && refused === undefined ? <Failure error={error} /> : null}
        <Textarea
          aria-label={t("settings.networks")}
          description={t("settings.networksHint")}
          placeholder={"203.0.113.0/24\n2001:db8::/32"}
          rows={Math.min(12, shown.split("\n").length + 1)}
          spellCheck={false}
          value={shown}
          onChange={(event) => setTyped(event.currentTarget.value)}
          error={refused}
        />
        <div className="row">
          <Button
            type="submit"
            variant="default"
            loading={isPending}
            disabled={wanted.join() === known.join()}
          >
            {t("save")}
          </Button>
          {address && !wanted.includes(address) ? (
            <Button
              type="button"
              variant="subtle"
              onClick={() => setTyped([...wanted, address].join("\n"))}
            >
              {t("settings.networksMine", { address })}
            </Button>
          ) : null}
        </div>
      </form>
    </Panel>
  );
}
