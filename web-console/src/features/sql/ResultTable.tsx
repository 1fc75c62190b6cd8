import { createColumnHelper, tableFeatures, useTable } from "@tanstack/react-table";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useMemo, useRef } from "react";
import type { QueryResult } from "#/api/types";
import { isNumeric } from "./export";
import css from "./ResultTable.module.css";

type Row = (string | null)[];

const features = tableFeatures({});
const helper = createColumnHelper<typeof features, Row>();

const ROW_PX = 32;
const CHAR_PX = 7.9;
const COLUMN_PX_MIN = 76;
const COLUMN_PX_MAX = 420;

/** Rows that decide how wide a column is. */
const SAMPLED_ROWS = 60;

/** Rows of a result, of which only those in sight are in the page. */
export function ResultTable({ result, label }: { result: QueryResult; label: string }) {
  const columns = useMemo(
    () =>
      helper.columns(
        result.columns.map(({ name }, index) =>
          helper.accessor((row) => row[index] ?? null, { id: String(index), header: name }),
        ),
      ),
    [result],
  );
  const table = useTable({ features, columns, data: result.rows });
  const rows = table.getRowModel().rows;
  const scroller = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    overscan: 12,
    initialRect: { width: 800, height: 400 },
  });
  const widths = useMemo(() => columnWidths(result), [result]);
  const template = {
    gridTemplateColumns: `52px ${widths.map((width) => `${width}px`).join(" ")}`,
  };
  const numeric = result.columns.map(({ type }) => isNumeric(type));
  return (
    <section
      ref={scroller}
      className={css.scroller}
      aria-label={label}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reachable by keyboard
      tabIndex={0}
    >
      <table aria-rowcount={rows.length + 1} className={css.grid}>
        <thead className={css.head}>
          <tr aria-rowindex={1} className={css.gridRow} style={template}>
            <th scope="col" className={css.number}>
              #
            </th>
            {table.getFlatHeaders().map(({ id }, index) => {
              const column = result.columns[index];
              return (
                <th
                  key={id}
                  scope="col"
                  className={numeric[index] ? css.right : undefined}
                  title={`${column?.name}: ${column?.type}`}
                >
                  {column?.name} <small>{column?.type}</small>
                </th>
              );
            })}
          </tr>
        </thead>
        <tbody style={{ display: "block", height: virtual.getTotalSize(), position: "relative" }}>
          {virtual.getVirtualItems().map(({ index, start }) => (
            <tr
              key={index}
              aria-rowindex={index + 2}
              className={css.gridRow}
              style={{
                ...template,
                position: "absolute",
                top: 0,
                transform: `translateY(${start}px)`,
              }}
            >
              <th scope="row" className={css.number}>
                {index + 1}
              </th>
              {rows[index]?.getAllCells().map((cell, column) => (
                <Cell
                  key={cell.id}
                  value={cell.row.original[column] ?? null}
                  right={numeric[column] === true}
                />
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Cell({ value, right }: { value: string | null; right: boolean }) {
  if (value === null) return <td className={css.null}>NULL</td>;
  return (
    <td className={right ? css.right : undefined} title={value.length > 40 ? value : undefined}>
      {value}
    </td>
  );
}

function columnWidths({ columns, rows }: QueryResult): number[] {
  const sample = rows.slice(0, SAMPLED_ROWS);
  return columns.map(({ name, type }, index) => {
    const longest = sample.reduce(
      (most, row) => Math.max(most, row[index]?.length ?? 4),
      name.length + type.length + 2,
    );
    return Math.round(Math.min(Math.max(longest * CHAR_PX + 26, COLUMN_PX_MIN), COLUMN_PX_MAX));
  });
}
