import { ActionIcon, Drawer } from "@mantine/core";
import { useDisclosure, useHotkeys } from "@mantine/hooks";
import IconMenu2 from "@tabler/icons-react/dist/esm/icons/IconMenu2.mjs";
import IconSearch from "@tabler/icons-react/dist/esm/icons/IconSearch.mjs";
import { Link, Outlet, useRouterState } from "@tanstack/react-router";
import { lazy, Suspense, useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { Logo } from "#/ui/Logo";
import { Navigation } from "./Navigation";
import css from "./shell.module.css";

const Palette = lazy(() => import("./Palette"));

/** The frame of every page behind the log-in. */
export function AppLayout() {
  const { t } = useTranslation();
  const [menuOpen, menu] = useDisclosure(false);
  const [palette, setPalette] = useState<"never" | "open" | "closed">("never");
  const openPalette = () => setPalette("open");
  useHotkeys([["mod+K", openPalette]], []);
  const path = useRouterState({ select: ({ location }) => location.pathname });
  // biome-ignore lint/correctness/useExhaustiveDependencies: the menu closes whenever a page is opened
  useEffect(() => menu.close(), [path]);
  return (
    <div className={css.shell}>
      <a href="#main" className="skip-link">
        {t("nav.skip")}
      </a>
      <header className={css.topbar}>
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
      </header>
      <aside className={css.sidebar}>
        <Navigation onSearch={openPalette} />
      </aside>
      <Drawer
        opened={menuOpen}
        onClose={menu.close}
        size={280}
        padding={0}
        title={<span style={{ paddingLeft: 24 }}>{t("nav.menu")}</span>}
      >
        <Navigation
          onSearch={() => {
            menu.close();
            openPalette();
          }}
        />
      </Drawer>
      <main className={css.main} id="main" tabIndex={-1}>
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
