import { createFileRoute, redirect } from "@tanstack/react-router";
import { ApiError } from "#/api/problem";
import { queries } from "#/api/queries";
import { AppLayout } from "#/features/shell/AppLayout";
import { AppSkeleton } from "#/features/shell/AppSkeleton";
import { BrokenAlone } from "#/features/shell/Broken";

export const Route = createFileRoute("/_app")({
  beforeLoad: async ({ context, location }) => {
    try {
      await context.queryClient.ensureQueryData(queries.me());
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) {
        throw redirect({ to: "/log-in", search: { next: location.href } });
      }
      throw error;
    }
  },
  component: AppLayout,
  pendingComponent: AppSkeleton,
  errorComponent: BrokenAlone,
});
