import type { DatabaseRestore } from "#/api/types";
import { fromLocalInput } from "./moments";

/** How a moment is named. */
export const KINDS = ["time", "latest", "restore_point", "lsn", "transaction"] as const;

type Kind = (typeof KINDS)[number];

type Where = "new" | "in_place";

/** What is entered to restore a database. */
export type Values = {
  where: Where;
  name: string;
  /** The database's own name: who types it means it. */
  typed: string;
  kind: Kind;
  time: string;
  restore_point: string;
  lsn: string;
  transaction: string;
};

/** What the API is asked for. */
export function bodyOf(values: Values): DatabaseRestore {
  const into = values.where === "new" ? { name: values.name.trim() } : { in_place: true };
  switch (values.kind) {
    case "latest":
      return { ...into, latest: true };
    case "time":
      return { ...into, time: fromLocalInput(values.time) ?? values.time };
    case "restore_point":
      return { ...into, restore_point: values.restore_point };
    case "lsn":
      return { ...into, lsn: values.lsn.trim() };
    case "transaction":
      return { ...into, transaction: Number(values.transaction) };
  }
}

/** Whether a text is the ID of a transaction. */
export function isTransaction(text: string): boolean {
  return /^\d{1,10}$/.test(text.trim()) && Number(text) < 2 ** 32;
}
