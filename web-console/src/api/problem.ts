import type { Problem } from "./types";

/** What the API answered instead of what was asked for (RFC 9457), or that it did not answer. */
export class ApiError extends Error {
  /** HTTP status; 0 if no answer came. */
  readonly status: number;
  /** Last part of the problem's type, such as `quota_exceeded`. */
  readonly slug: string;
  /** One message per field that was refused. */
  readonly fields: ReadonlyMap<string, string>;
  /** Seconds after which trying again makes sense, if the API said so. */
  readonly retryAfterSeconds: number | undefined;

  constructor(given: {
    status: number;
    slug: string;
    message: string;
    fields?: ReadonlyMap<string, string>;
    retryAfterSeconds?: number;
  }) {
    super(given.message);
    this.name = "ApiError";
    this.status = given.status;
    this.slug = given.slug;
    this.fields = given.fields ?? new Map();
    this.retryAfterSeconds = given.retryAfterSeconds;
  }

  /** Whether the same request may succeed later. */
  get isTransient(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

function isProblem(body: unknown): body is Partial<Problem> {
  return typeof body === "object" && body !== null;
}

/** Reads an answer that is not a success. */
export async function problemOf(response: Response): Promise<ApiError> {
  let body: unknown;
  try {
    body = await response.clone().json();
  } catch {
    // A proxy in between answers in its own words; the status has to do.
  }
  const problem = isProblem(body) ? body : {};
  const slug = (problem.type ?? "").split("/").pop() ?? "";
  const wait = Number(response.headers.get("retry-after") ?? Number.NaN);
  return new ApiError({
    status: response.status,
    slug: slug || `status_${response.status}`,
    message: problem.detail || problem.title || `The server answered ${response.status}.`,
    fields: new Map((problem.errors ?? []).map(({ field, message }) => [field, message])),
    ...(Number.isFinite(wait) ? { retryAfterSeconds: wait } : {}),
  });
}

/** Any thrown thing as an `ApiError`: what is not one means that no answer came. */
export function asApiError(thrown: unknown): ApiError {
  if (thrown instanceof ApiError) return thrown;
  return new ApiError({
    status: 0,
    slug: "unreachable",
    message: "The server cannot be reached. Check your connection and try again.",
  });
}
