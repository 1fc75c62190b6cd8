import { Button, PasswordInput, TextInput } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useRouter } from "@tanstack/react-router";
import { useForm } from "react-hook-form";
import { useTranslation } from "react-i18next";
import { $api } from "#/api/client";
import { asApiError } from "#/api/problem";
import { Failure } from "#/ui/Failure";
import { useTitle } from "#/ui/Page";
import css from "./auth.module.css";
import { safeNext } from "./next";

export function LogIn({
  next,
  ended,
}: {
  /** Where to go on after the log-in. */
  next: string | undefined;
  /** Whether a session was over while somebody was at work. */
  ended: boolean;
}) {
  const { t } = useTranslation();
  useTitle(t("logIn.title"));
  const client = useQueryClient();
  const navigate = useNavigate();
  const router = useRouter();
  const form = useForm({ defaultValues: { email: "", password: "" } });
  const logIn = $api.useMutation("post", "/v1/auth/log-in", {
    onSuccess: () => {
      client.clear();
      router.history.push(safeNext(next));
    },
    onError: (thrown) => {
      if (asApiError(thrown).slug !== "email_not_verified") return;
      const email = form.getValues("email");
      void navigate({ to: "/check-mail", search: { email, purpose: "verify" } });
    },
  });
  const required = { required: t("form.required") };
  const { errors } = form.formState;
  return (
    <>
      <h1>{t("logIn.title")}</h1>
      <p className={css.lead}>{ended ? t("logIn.ended") : t("logIn.lead")}</p>
      <form
        className="stack"
        noValidate
        onSubmit={form.handleSubmit((body) => logIn.mutate({ body }))}
      >
        {logIn.isError ? <Failure error={logIn.error} title={t("logIn.failed")} /> : null}
        <TextInput
          label={t("form.email")}
          type="email"
          autoComplete="username"
          size="md"
          {...form.register("email", required)}
          error={errors.email?.message}
        />
        <PasswordInput
          label={t("form.password")}
          autoComplete="current-password"
          size="md"
          {...form.register("password", required)}
          error={errors.password?.message}
        />
        <Button type="submit" size="md" loading={logIn.isPending}>
          {t("logIn.title")}
        </Button>
        <Link to="/forgot-password">{t("logIn.forgot")}</Link>
      </form>
      <p className={css.foot}>
        {t("logIn.noAccount")} <Link to="/sign-up">{t("signUp.title")}</Link>
      </p>
    </>
  );
}
