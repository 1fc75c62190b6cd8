import { useQueryClient } from "@tanstack/react-query";
import { Link, useRouter } from "@tanstack/react-router";
import { lazy, type ReactNode, Suspense, useEffect } from "react";
import { useTranslation } from "react-i18next";
import { ApiError, asApiError } from "#/api/problem";
import { queries } from "#/api/queries";
import { Failure } from "#/ui/Failure";
import { Logo } from "#/ui/Logo";
import { useTitle } from "#/ui/Page";
import page from "#/ui/Page.module.css";
import css from "./shell.module.css";

// No page that people come to first; what stands for a server that is away has to be here already.
const Lost = lazy(async () => ({ default: (await import("./Lost")).Lost }));

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

/** In place of everything, where no page has this address. */
export function LostAlone() {
  return (
    <Alone>
      <Suspense>
        <Lost />
      </Suspense>
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
