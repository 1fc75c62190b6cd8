import { Button } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { Link, useRouter } from "@tanstack/react-router";
import { type ReactNode, useEffect } from "react";
import { useTranslation } from "react-i18next";
import { ApiError, asApiError } from "#/api/problem";
import { queries } from "#/api/queries";
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
  useReturn(error);
  return (
    <div className={`${page.page} ${page.narrow} stack`}>
      <h1>{t("failure.page")}</h1>
      <Failure error={error} onRetry={() => void router.invalidate()} />
      {isTransient ? <p className="muted">{t("failure.again")}</p> : null}
    </div>
  );
}

/**
 * Shows the page anew once a server is back that was away. It is asked in silence: to show the page
 * at each try would have it flicker.
 */
function useReturn(error: unknown): void {
  const router = useRouter();
  const client = useQueryClient();
  useEffect(() => {
    if (!asApiError(error).isTransient) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let isLeft = false;
    // What failed by itself fails again: only an answer that was missing may come.
    let wasAway = error instanceof ApiError;
    const after = (act: () => void) => {
      if (!isLeft) timer = setTimeout(act, RETRY_MS);
    };
    const look = async () => {
      try {
        await client.fetchQuery({ ...queries.me(), staleTime: 0, retry: false });
      } catch (thrown) {
        if (asApiError(thrown).isTransient) {
          wasAway = true;
          after(() => void look());
          return;
        }
      }
      if (wasAway) after(() => void router.invalidate());
    };
    void look();
    return () => {
      isLeft = true;
      clearTimeout(timer);
    };
  }, [error, client, router]);
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
