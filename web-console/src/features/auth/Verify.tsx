import { Button, Loader } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useEffect, useRef } from "react";
import { useTranslation } from "react-i18next";
import { $api } from "#/api/client";
import { asApiError } from "#/api/problem";
import { Failure } from "#/ui/Failure";
import { useTitle } from "#/ui/Page";
import css from "./auth.module.css";

/** Opened from the mail: proves the address and logs in. */
export function Verify({ token }: { token: string }) {
  const { t } = useTranslation();
  useTitle(t("verify.title"));
  const client = useQueryClient();
  const navigate = useNavigate();
  const { mutate, isError, error } = $api.useMutation("post", "/v1/auth/verify-email");
  // A link works once: development's double mount must not use it up.
  const sent = useRef(false);
  useEffect(() => {
    if (sent.current || token === "") return;
    sent.current = true;
    mutate(
      { body: { token } },
      {
        onSuccess: () => {
          client.clear();
          void navigate({ to: "/databases", replace: true });
        },
      },
    );
  }, [mutate, token, client, navigate]);

  if (token === "" || isError) {
    const used = token === "" || asApiError(error).slug === "gone";
    return (
      <div className="stack">
        <h1>{used ? t("verify.usedTitle") : t("verify.failedTitle")}</h1>
        {used ? <p className={css.lead}>{t("verify.used")}</p> : <Failure error={error} />}
        <Button component={Link} to="/log-in" size="md">
          {t("logIn.title")}
        </Button>
      </div>
    );
  }
  return (
    <div className="stack" role="status">
      <h1>{t("verify.title")}</h1>
      <div className="row muted">
        <Loader size="sm" />
        {t("verify.working")}
      </div>
    </div>
  );
}
