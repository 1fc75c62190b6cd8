import { HttpResponse } from "msw";

/** What went wrong, as the API says it; of one field where that is given. */
export function problem(status: number, slug: string, detail: string, field?: string) {
  return HttpResponse.json(
    {
      type: `/problems/${slug}`,
      title: slug,
      status,
      detail,
      ...(field === undefined ? {} : { errors: [{ field, message: detail }] }),
    },
    { status, headers: { "content-type": "application/problem+json" } },
  );
}

/** All of a list, on one page. */
export const page = <Item>(items: readonly Item[]) =>
  HttpResponse.json({ items, next_cursor: null });

export const nothing = () => new HttpResponse(null, { status: 204 });
