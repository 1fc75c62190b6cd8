import { useQuery } from "@tanstack/react-query";
import { queries } from "#/api/queries";

/** What a plan is called; its identifier while that is not known. */
export function usePlanName(): (id: string) => string {
  const { data } = useQuery(queries.plans());
  return (id) => data?.items.find((plan) => plan.id === id)?.display_name ?? id;
}
