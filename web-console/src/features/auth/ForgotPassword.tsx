import { Button, TextInput } from "@mantine/core";
import { Link, useNavigate } from "@tanstack/react-router";
import { useForm } from "react-hook-form";
import { useTranslation } from "react-i18next";
import { $api } from "#/api/client";
import { Failure } from "#/ui/Failure";
import { useTitle } from "#/ui/Page";
import css from "./auth.module.css";

export function ForgotPassword() {
  const { t } = useTranslation();
  useTitle(t("forgot.title"));
  const navigate = useNavigate();
  const form = useForm({ defaultValues: { email: "" } });
  const ask = $api.useMutation("post", "/v1/auth/password-reset", {
    onSuccess: () => {
      const email = form.getValues("email").trim();
      void navigate({ to: "/check-mail", search: { email, purpose: "reset" } });
    },
  });
  return (
    <>
      <h1>{t("forgot.title")}</h1>
      <p className={css.lead}>{t("forgot.lead")}</p>
      <form
        className="stack"
        noValidate
        onSubmit={form.handleSubmit((body) => ask.mutate({ body }))}
      >
        {ask.isError ? <Failure error={ask.error} /> : null}
        <TextInput
          label={t("form.email")}
          type="email"
          autoComplete="username"
          size="md"
          {...form.register("email", { required: t("form.required") })}
          error={form.formState.errors.email?.message}
        />
        <Button type="submit" size="md" loading={ask.isPending}>
          {t("forgot.action")}
        </Button>
      </form>
      <p className={css.foot}>
        <Link to="/log-in" search={{}}>
          {t("checkMail.back")}
        </Link>
      </p>
    </>
  );
}
