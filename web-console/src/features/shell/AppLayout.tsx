import { ActionIcon } from "@mantine/core";
import { useDisclosure, useHotkeys } from "@mantine/hooks";
import IconMenu2 from "@tabler/icons-react/dist/esm/icons/IconMenu2.mjs";
import IconSearch from "@tabler/icons-react/dist/esm/icons/IconSearch.mjs";
import { Link, Outlet, useRouterState } from "@tanstack/react-router";
import { lazy, Suspense, useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { Logo } from "#/ui/Logo";
import { Away } from "./Away";
import { Navigation } from "./Navigation";
import css from "./shell.module.css";

const MobileMenu = lazy(() => import("./MobileMenu"));
const loadPalette = () => import("./Palette");
const Palette = lazy(loadPalette);

/** Milliseconds after which the palette is fetched, so that it hears the first key. */
const PALETTE_AFTER_MS = 1_500;

/** The frame of every page behind the log-in. */
export function AppLayout() {
  const { t } = useTranslation();
  const [menuOpen, menu] = useDisclosure(false);
  const [palette, setPalette] = useState<"never" | "open" | "closed">("never");
  const openPalette = () => setPalette("open");
  useHotkeys([["mod+K", openPalette]], []);
  useEffect(() => {
    const timer = setTimeout(() => void loadPalette(), PALETTE_AFTER_MS);
    return () => clearTimeout(timer);
  }, []);
  const path = useRouterState({ select: ({ location }) => location.pathname });
  // biome-ignore lint/correctness/useExhaustiveDependencies: the menu closes whenever a page is opened
  useEffect(() => menu.close(), [path]);
  return (
    <div className={css.shell}>
      <a href="#main" className="skip-link">
        {t("nav.skip")}
      </a>
      <nav className={css.topbar} aria-label={t("nav.top")}>
        <Link to="/databases" className={css.brand} aria-label={t("nav.home")}>
          <Logo />
        </Link>
        <div className="row">
          <ActionIcon variant="subtle" size="lg" onClick={openPalette} aria-label={t("nav.search")}>
            <IconSearch size={20} />
          </ActionIcon>
          <ActionIcon variant="subtle" size="lg" onClick={menu.open} aria-label={t("nav.menu")}>
            <IconMenu2 size={20} />
          </ActionIcon>
        </div>
      </nav>
      <aside className={css.sidebar}>
        <Navigation onSearch={openPalette} />
      </aside>
      {menuOpen ? (
        <Suspense>
          <MobileMenu
            onClose={menu.close}
            onSearch={() => {
              menu.close();
              openPalette();
            }}
          />
        </Suspense>
      ) : null}
      <main className={css.main} id="main" tabIndex={-1}>
        <Away />
        <Outlet />
      </main>
      {palette === "never" ? null : (
        <Suspense>
          <Palette opened={palette === "open"} onClose={() => setPalette("closed")} />
        </Suspense>
      )}
    </div>
  );
}
