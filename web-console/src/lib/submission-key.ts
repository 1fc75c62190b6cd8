import { useRef } from "react";
import { uuid } from "./uuid";

/**
 * The same key for the same content: pressing the button again after an answer was lost creates
 * nothing twice, and changed content is a new request.
 */
export function useSubmissionKey(): (content: string) => string {
  const last = useRef({ content: "", key: "" });
  return (content) => {
    if (last.current.content !== content) last.current = { content, key: uuid() };
    return last.current.key;
  };
}
