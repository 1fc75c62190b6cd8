import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Trans, useTranslation } from "react-i18next";
import { LetterArt } from "#/ui/art/LetterArt";
import { useTitle } from "#/ui/Page";
import ui from "#/ui/ui.module.css";
import css from "./auth.module.css";

/** Where a cloud without a mail server keeps its mail. Beside the API, and not there otherwise. */
const OUTBOX = "/outbox";

async function hasOutbox(): Promise<boolean> {
  // The JSON's head alone tells it from the console's own pages, and reads nobody's mail.
  const answer = await fetch(new URL(`${OUTBOX}.json`, location.origin), { method: "HEAD" });
  return answer.ok && (answer.headers.get("content-type") ?? "").includes("json");
}

/** After a sign-up or a forgotten password: what to do next. */
export function CheckMail({ email, purpose }: { email: string; purpose: "verify" | "reset" }) {
  const { t } = useTranslation();
  useTitle(t("checkMail.title"));
  const outbox = useQuery({ queryKey: [OUTBOX], queryFn: hasOutbox, retry: false });
  const where = email === "" ? t("checkMail.yourAddress") : email;
  return (
    <div className="stack">
      <LetterArt />
      <h1>{t("checkMail.title")}</h1>
      <p className={css.lead}>
        <Trans
          i18nKey={purpose === "verify" ? "checkMail.verify" : "checkMail.reset"}
          values={{ email: where }}
          components={{ b: <strong /> }}
        />
      </p>
      {outbox.data ? (
        <div className={`${ui.note} stack`}>
          {t("checkMail.outbox")}
          <Button component="a" href={OUTBOX} variant="default">
            {t("checkMail.openOutbox")}
          </Button>
        </div>
      ) : (
        <p className="muted">
          {t("checkMail.hint")}{" "}
          {purpose === "verify" ? (
            t("checkMail.againBySignIn")
          ) : (
            <Link to="/forgot-password">{t("checkMail.again")}</Link>
          )}
        </p>
      )}
      <p className={css.foot}>
        <Link to="/log-in" search={{}}>
          {t("checkMail.back")}
        </Link>
      </p>
    </div>
  );
}
