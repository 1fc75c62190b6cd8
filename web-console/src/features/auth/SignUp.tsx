import { Button, PasswordInput, TextInput } from "@mantine/core";
import { Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useForm } from "react-hook-form";
import { useTranslation } from "react-i18next";
import { $api } from "#/api/client";
import { spreadProblem } from "#/lib/problem-fields";
import { Failure } from "#/ui/Failure";
import { useTitle } from "#/ui/Page";
import css from "./auth.module.css";
import { useSignUpResolver } from "./schemas";

export function SignUp() {
  const { t } = useTranslation();
  useTitle(t("signUp.title"));
  const navigate = useNavigate();
  const [failure, setFailure] = useState<Error>();
  const form = useForm({
    defaultValues: { display_name: "", email: "", password: "" },
    resolver: useSignUpResolver(),
  });
  const { errors } = form.formState;
  const signUp = $api.useMutation("post", "/v1/auth/sign-up", {
    onSuccess: () => {
      const email = form.getValues("email").trim();
      void navigate({ to: "/check-mail", search: { email, purpose: "verify" } });
    },
    onError: (thrown) =>
      setFailure(spreadProblem(thrown, ["display_name", "email", "password"], form.setError)),
  });
  return (
    <>
      <h1>{t("signUp.heading")}</h1>
      <p className={css.lead}>{t("signUp.lead")}</p>
      <form
        className="stack"
        noValidate
        onSubmit={form.handleSubmit((body) => {
          setFailure(undefined);
          signUp.mutate({ body });
        })}
      >
        {failure === undefined ? null : <Failure error={failure} title={t("signUp.failed")} />}
        <TextInput
          label={t("form.name")}
          autoComplete="name"
          size="md"
          {...form.register("display_name")}
          error={errors.display_name?.message}
        />
        <TextInput
          label={t("form.email")}
          type="email"
          autoComplete="username"
          size="md"
          {...form.register("email")}
          error={errors.email?.message}
        />
        <PasswordInput
          label={t("form.password")}
          description={t("form.passwordHint")}
          autoComplete="new-password"
          size="md"
          {...form.register("password")}
          error={errors.password?.message}
        />
        <Button type="submit" size="md" loading={signUp.isPending}>
          {t("signUp.action")}
        </Button>
      </form>
      <p className={css.foot}>
        {t("signUp.haveAccount")}{" "}
        <Link to="/log-in" search={{}}>
          {t("logIn.title")}
        </Link>
      </p>
    </>
  );
}
