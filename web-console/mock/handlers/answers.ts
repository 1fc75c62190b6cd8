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

/** Items on a page, as in the API: where no number is given, and at most. */
const LIMIT_DEFAULT = 50;
const LIMIT_MAX = 100;

/** The page of a list that a request asks for; its cursor names the last item before it. */
export function paged<Item extends { id: string }>(request: Request, items: readonly Item[]) {
  const query = new URL(request.url).searchParams;
  const limit = Number(query.get("limit") ?? LIMIT_DEFAULT);
  if (!(limit >= 1 && limit <= LIMIT_MAX)) {
    return problem(400, "invalid_request", `is 1 to ${LIMIT_MAX}`, "limit");
  }
  const cursor = query.get("cursor");
  const from = items.findIndex(({ id }) => id === cursor) + 1;
  if (cursor !== null && from === 0) {
    return problem(400, "invalid_request", "is not one that a page gave", "cursor");
  }
  const asked = items.slice(from, from + limit);
  const hasMore = from + limit < items.length;
  return HttpResponse.json({ items: asked, next_cursor: hasMore ? asked.at(-1)?.id : null });
}

/** All of a list, on one page. */
export const page = <Item>(items: readonly Item[]) =>
  HttpResponse.json({ items, next_cursor: null });

export const nothing = () => new HttpResponse(null, { status: 204 });
