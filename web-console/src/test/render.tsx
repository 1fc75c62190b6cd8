import { MantineProvider } from "@mantine/core";
import { Notifications } from "@mantine/notifications";
import { QueryClientProvider } from "@tanstack/react-query";
import { createMemoryHistory, createRouter, RouterProvider } from "@tanstack/react-router";
import { render } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { createQueryClient } from "#/api/client";
import { BrokenAlone, LostAlone } from "#/features/shell/Broken";
import { routeTree } from "#/routeTree.gen";
import { cssVariablesResolver, theme } from "#/theme";

/** The whole console at a path, with what a person does to it. */
export function open(path: string) {
  const queryClient = createQueryClient(() => void router.navigate({ to: "/log-in", search: {} }));
  queryClient.setDefaultOptions({
    queries: { ...queryClient.getDefaultOptions().queries, retryDelay: 1 },
  });
  const router = createRouter({
    routeTree,
    context: { queryClient },
    history: createMemoryHistory({ initialEntries: [path] }),
    defaultErrorComponent: BrokenAlone,
    defaultNotFoundComponent: LostAlone,
  });
  const rendered = render(
    <MantineProvider theme={theme} cssVariablesResolver={cssVariablesResolver} env="test">
      <Notifications />
      <QueryClientProvider client={queryClient}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </MantineProvider>,
  );
  return { ...rendered, router, queryClient, user: userEvent.setup() };
}
