import type { FieldPath, FieldValues, UseFormSetError } from "react-hook-form";
import { asApiError } from "#/api/problem";

/**
 * Puts each message of the server's at the field it is about. Gives back the error if something
 * of it belongs to no field of the form, and has to be shown above it.
 */
export function spreadProblem<Values extends FieldValues>(
  thrown: unknown,
  fields: readonly FieldPath<Values>[],
  setError: UseFormSetError<Values>,
): Error | undefined {
  const error = asApiError(thrown);
  const known = [...error.fields].filter(([field]) => fields.some((name) => name === field));
  for (const [field, message] of known) {
    setError(field as FieldPath<Values>, { message }, { shouldFocus: true });
  }
  return known.length > 0 && known.length === error.fields.size ? undefined : error;
}
