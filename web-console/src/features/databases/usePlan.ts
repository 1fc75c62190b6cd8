import { useQuery } from "@tanstack/react-query";
import { queries } from "#/api/queries";
import type { ComputeSize, Plan } from "#/api/types";
import { useScope } from "../shell/useScope";

/** Sizes beyond the plan that are still shown: enough to tell that there are larger ones. */
const BEYOND_SHOWN = 2;

/** The organization's plan, and the sizes worth showing to it. */
export function usePlan() {
  const { organization } = useScope();
  const query = useQuery({
    ...queries.plans(),
    select: (catalog) => {
      const plan: Plan | undefined = catalog.items.find(({ id }) => id === organization.plan_id);
      const max = plan?.compute_milli_vcpu_max ?? Number.POSITIVE_INFINITY;
      const sizes: readonly ComputeSize[] = catalog.compute_sizes;
      const within = sizes.filter(({ milli_vcpu }) => milli_vcpu <= max);
      const beyond = sizes.filter(({ milli_vcpu }) => milli_vcpu > max).slice(0, BEYOND_SHOWN);
      return { plan, milliVcpuMax: max, sizes: [...within, ...beyond] };
    },
  });
  return query;
}
