import "./styles/mantine.css";
import "./styles/tokens.css";
import "./styles/base.css";
import { MantineProvider } from "@mantine/core";
import { Notifications } from "@mantine/notifications";
import { QueryClientProvider } from "@tanstack/react-query";
import { createRouter, RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { createQueryClient } from "./api/client";
import { Broken, LostAlone } from "./features/shell/Broken";
import "./i18n";
import { routeTree } from "./routeTree.gen";
import { colorSchemeManager, cssVariablesResolver, theme } from "./theme";

const queryClient = createQueryClient(() => {
  const { pathname, search } = router.state.location.pathname.startsWith("/log-in")
    ? { pathname: "/", search: "" }
    : { pathname: router.state.location.pathname, search: router.state.location.searchStr };
  queryClient.clear();
  void router.navigate({ to: "/log-in", search: { next: pathname + search } });
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
        <Notifications position="bottom-right" />
        <QueryClientProvider client={queryClient}>
          <RouterProvider router={router} />
        </QueryClientProvider>
      </MantineProvider>
    </StrictMode>,
  );
}
