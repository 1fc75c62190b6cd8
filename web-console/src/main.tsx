import "./styles/mantine.css";
import "./styles/tokens.css";
import "./styles/base.css";
import { MantineProvider } from "@mantine/core";
import { QueryClientProvider } from "@tanstack/react-query";
import { createRouter, RouterProvider } from "@tanstack/react-router";
import { lazy, StrictMode, Suspense } from "react";
import { createRoot } from "react-dom/client";
import { createQueryClient } from "./api/client";
import { Broken, LostAlone } from "./features/shell/Broken";
import "./i18n";
import { routeTree } from "./routeTree.gen";
import { colorSchemeManager, cssVariablesResolver, theme } from "./theme";

// Nothing is said before the first page is there.
const Notifications = lazy(async () => ({
  default: (await import("@mantine/notifications")).Notifications,
}));

const queryClient = createQueryClient(() => {
  const next = router.state.location.href;
  void router
    .navigate({ to: "/log-in", search: { next, ended: true } })
    .then(() => queryClient.clear());
});

export const router = createRouter({
  routeTree,
  context: { queryClient },
  defaultPreload: "intent",
  // The query cache decides how old is too old.
  defaultPreloadStaleTime: 0,
  scrollRestoration: true,
  defaultErrorComponent: Broken,
  defaultNotFoundComponent: LostAlone,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}

const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <MantineProvider
        theme={theme}
        cssVariablesResolver={cssVariablesResolver}
        colorSchemeManager={colorSchemeManager}
        defaultColorScheme="auto"
      >
        <Suspense>
          <Notifications position="bottom-right" />
        </Suspense>
        <QueryClientProvider client={queryClient}>
          <RouterProvider router={router} />
        </QueryClientProvider>
      </MantineProvider>
    </StrictMode>,
  );
}
