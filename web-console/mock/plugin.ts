import type { IncomingMessage, ServerResponse } from "node:http";
import { getResponse } from "msw";
import type { Connect, Plugin } from "vite";
import { cloud, handlers } from "./handlers/index.ts";

/** Serves the mocked API beside the console, for working on it without a control plane. */
export function mockApi({ enabled }: { enabled: boolean }): Plugin {
  const state = cloud(process.env.MOCK_EMPTY === "1" ? { databases: [] } : {});
  const answers = handlers(state);
  const serve: Connect.NextHandleFunction = (request, response, next) => {
    if (!enabled || !request.url?.startsWith("/v1/")) return next();
    answer(request, response, answers).catch(next);
  };
  return {
    name: "mock-api",
    configureServer(server) {
      server.middlewares.use(serve);
    },
    configurePreviewServer(server) {
      server.middlewares.use(serve);
    },
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  answers: ReturnType<typeof handlers>,
): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks);
  const asked = new Request(`http://${request.headers.host}${request.url}`, {
    method: request.method ?? "GET",
    headers: { "content-type": request.headers["content-type"] ?? "application/json" },
    ...(body.length === 0 ? {} : { body }),
  });
  const answered = await getResponse(answers, asked);
  response.statusCode = answered?.status ?? 404;
  for (const [name, value] of answered?.headers ?? []) response.setHeader(name, value);
  response.end(Buffer.from((await answered?.arrayBuffer()) ?? new ArrayBuffer(0)));
}
