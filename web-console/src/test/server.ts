import { setupServer } from "msw/node";
import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import { type Cloud, cloud, handlers } from "#mock/handlers";

export const server = setupServer();

/** Has every test of a file meet a cloud of its own; gives it back to be arranged. */
export function useCloud(): { current: Cloud } {
  const holder = { current: cloud() };
  beforeAll(() => server.listen({ onUnhandledRequest: "error" }));
  beforeEach(() => {
    holder.current = cloud();
    server.use(...handlers(holder.current));
  });
  afterEach(() => server.resetHandlers());
  afterAll(() => server.close());
  return holder;
}
