import { Button } from "@mantine/core";
import { Link, useRouter } from "@tanstack/react-router";
import { type ReactNode, useEffect } from "react";
import { useTranslation } from "react-i18next";
import { asApiError } from "#/api/problem";
import { LostArt } from "#/ui/art";
import { Empty } from "#/ui/Empty";
import { Failure } from "#/ui/Failure";
import { Logo } from "#/ui/Logo";
import { useTitle } from "#/ui/Page";
import page from "#/ui/ui.module.css";
import css from "./shell.module.css";

/** Milliseconds after which a page is tried again whose server was away. */
const RETRY_MS = 4_000;

/** In place of a page that failed, inside the frame. */
export function Broken({ error }: { error: unknown }) {
  const { t } = useTranslation();
  const router = useRouter();
  useTitle(t("failure.title"));
  const isTransient = asApiError(error).isTransient;
  // Each failure is a new error, and so another try.
  // biome-ignore lint/correctness/useExhaustiveDependencies: the error is what counts the tries
  useEffect(() => {
    if (!isTransient) return;
    const timer = setTimeout(() => void router.invalidate(), RETRY_MS);
    return () => clearTimeout(timer);
  }, [error, isTransient, router]);
  return (
    <div className={`${page.page} ${page.narrow} stack`}>
      <h1>{t("failure.page")}</h1>
      <Failure error={error} onRetry={() => void router.invalidate()} />
      {isTransient ? <p className="muted">{t("failure.again")}</p> : null}
    </div>
  );
}

/** In place of everything, when not even the frame can be shown. */
export function BrokenAlone({ error }: { error: unknown }) {
  return (
    <Alone>
      <Broken error={error} />
    </Alone>
  );
}

export function LostAlone() {
  return (
    <Alone>
      <Lost />
    </Alone>
  );
}

/** A page without the frame, with the mark of whose it is. */
function Alone({ children }: { children: ReactNode }) {
  const { t } = useTranslation();
  return (
    <>
      <nav className={css.alone} aria-label={t("nav.top")}>
        <Link to="/databases" className={css.brand} aria-label={t("nav.home")}>
          <Logo />
        </Link>
      </nav>
      <main>{children}</main>
    </>
  );
}

/** In place of a page that is not there. */
export function Lost() {
  const { t } = useTranslation();
  useTitle(t("lost.title"));
  return (
    <div className={page.page}>
      <Empty
        art={<LostArt />}
        title={t("lost.title")}
        isPage
        actions={
          <Button component={Link} to="/databases">
            {t("lost.home")}
          </Button>
        }
      >
        <p>{t("lost.text")}</p>
      </Empty>
    </div>
  );
}
