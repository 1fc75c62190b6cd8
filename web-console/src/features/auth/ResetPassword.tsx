import { Button, PasswordInput } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { useForm } from "react-hook-form";
import { useTranslation } from "react-i18next";
import { $api } from "#/api/client";
import { spreadProblem } from "#/lib/problem-fields";
import { Failure } from "#/ui/Failure";
import { useTitle } from "#/ui/Page";
import css from "./auth.module.css";
import { useResetResolver } from "./schemas";

/** Opened from the mail: a new password, after which every session is over. */
export function ResetPassword({ token }: { token: string }) {
  const { t } = useTranslation();
  useTitle(t("reset.title"));
  const [failure, setFailure] = useState<Error>();
  const form = useForm({ defaultValues: { password: "" }, resolver: useResetResolver() });
  const reset = $api.useMutation("post", "/v1/auth/password-reset/confirm", {
    onError: (thrown) => setFailure(spreadProblem(thrown, ["password"], form.setError)),
  });
  if (reset.isSuccess) {
    return (
      <div className="stack">
        <h1>{t("reset.doneTitle")}</h1>
        <p className={css.lead}>{t("reset.done")}</p>
        <Button component={Link} to="/log-in" size="md">
          {t("logIn.title")}
        </Button>
      </div>
    );
  }
  return (
    <>
      <h1>{t("reset.title")}</h1>
      <p className={css.lead}>{t("reset.lead")}</p>
      <form
        className="stack"
        noValidate
        onSubmit={form.handleSubmit(({ password }) => {
          setFailure(undefined);
          reset.mutate({ body: { token, password } });
        })}
      >
        {failure === undefined ? null : <Failure error={failure} />}
        <PasswordInput
          label={t("reset.password")}
          description={t("form.passwordHint")}
          autoComplete="new-password"
          size="md"
          {...form.register("password")}
          error={form.formState.errors.password?.message}
        />
        <Button type="submit" size="md" loading={reset.isPending}>
          {t("reset.action")}
        </Button>
      </form>
      <p className={css.foot}>
        <Link to="/forgot-password">{t("reset.again")}</Link>
      </p>
    </>
  );
}
