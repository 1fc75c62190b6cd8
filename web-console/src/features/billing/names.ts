import { useQuery } from "@tanstack/react-query";
import { queries } from "#/api/queries";
import { useScope } from "../shell/useScope";

/** What a plan is called; its identifier while that is not known. */
export function usePlanName(): (id: string) => string {
  const { data } = useQuery(queries.plans());
  return (id) => data?.items.find((plan) => plan.id === id)?.display_name ?? id;
}

/** What a database is called; its identifier where it is gone or not known. */
export function useDatabaseNames(): (id: string) => string {
  const { projectId } = useScope();
  const { data } = useQuery(queries.databases(projectId));
  return (id) => data?.items.find((database) => database.id === id)?.name ?? id;
}
