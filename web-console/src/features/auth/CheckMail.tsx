import { Link } from "@tanstack/react-router";
import { Trans, useTranslation } from "react-i18next";
import { LetterArt } from "#/ui/art";
import { useTitle } from "#/ui/Page";
import css from "./auth.module.css";

/** After a sign-up or a forgotten password: what to do next. */
export function CheckMail({ email, purpose }: { email: string; purpose: "verify" | "reset" }) {
  const { t } = useTranslation();
  useTitle(t("checkMail.title"));
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
      <p className="muted">{t("checkMail.hint")}</p>
      <p className={css.foot}>
        <Link to="/log-in" search={{}}>
          {t("checkMail.back")}
        </Link>
      </p>
    </div>
  );
}
