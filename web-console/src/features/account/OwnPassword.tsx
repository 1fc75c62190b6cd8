import { Button, PasswordInput } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useForm } from "react-hook-form";
import { useTranslation } from "react-i18next";
import { $api } from "#/api/client";
import { queries } from "#/api/queries";
import { spreadProblem } from "#/lib/problem-fields";
import { Failure } from "#/ui/Failure";
import { notifyDone } from "#/ui/notify";
import { Panel } from "#/ui/Panel";
import { PASSWORD_MAX, PASSWORD_MIN } from "../auth/password";

const EMPTY = { current_password: "", new_password: "" };

/** A new password for whoever knows the present one. */
export function OwnPassword({ email }: { email: string }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const [failure, setFailure] = useState<Error>();
  const form = useForm({ defaultValues: EMPTY });
  const { errors } = form.formState;
  const change = $api.useMutation("post", "/v1/me/password", {
    onSuccess: async () => {
      form.reset(EMPTY);
      notifyDone(t("account.passwordChanged"));
      await client.invalidateQueries({ queryKey: queries.sessions().queryKey });
    },
    onError: (thrown) =>
      setFailure(spreadProblem(thrown, ["current_password", "new_password"], form.setError)),
  });
  return (
    <Panel title={t("form.password")} lead={t("account.passwordLead")}>
      <form
        className="stack"
        noValidate
        style={{ maxWidth: 420 }}
        onSubmit={form.handleSubmit((body) => {
          setFailure(undefined);
          change.mutate({ body });
        })}
      >
        {failure === undefined ? null : <Failure error={failure} />}
        {/* Tells password managers whose password this is. */}
        <input type="email" autoComplete="username" value={email} readOnly hidden />
        <PasswordInput
          label={t("account.currentPassword")}
          autoComplete="current-password"
          {...form.register("current_password", { required: t("form.required") })}
          error={errors.current_password?.message}
        />
        <PasswordInput
          label={t("reset.password")}
          description={t("form.passwordHint")}
          autoComplete="new-password"
          {...form.register("new_password", {
            minLength: { value: PASSWORD_MIN, message: t("form.passwordShort") },
            maxLength: { value: PASSWORD_MAX, message: t("form.passwordLong") },
            required: t("form.required"),
          })}
          error={errors.new_password?.message}
        />
        <div>
          <Button type="submit" variant="default" loading={change.isPending}>
            {t("account.changePassword")}
          </Button>
        </div>
      </form>
    </Panel>
  );
}
