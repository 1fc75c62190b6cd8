import { Button, Loader } from "@mantine/core";
import IconBraces from "@tabler/icons-react/dist/esm/icons/IconBraces.mjs";
import IconFileSpreadsheet from "@tabler/icons-react/dist/esm/icons/IconFileSpreadsheet.mjs";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import type { QueryError, QueryResult } from "#/api/types";
import { downloadText } from "#/lib/download";
import { formatCount, formatDuration } from "#/lib/format";
import { Failure } from "#/ui/Failure";
import { toCsv, toJson } from "./export";
import { ResultTable } from "./ResultTable";
import css from "./sql.module.css";
import type { Run } from "./useRun";

/** What came of the last run. An error of the database is a result like any other. */
export function Results({ run }: { run: Run | undefined }) {
  const { t } = useTranslation();
  if (run === undefined) return <p className={css.hint}>{t("sql.nothingYet")}</p>;
  if (run.state === "running") {
    return (
      <p className={css.hint} role="status">
        <Loader size="xs" /> {run.cancelling ? t("sql.cancelling") : t("sql.running")}
      </p>
    );
  }
  if (run.state === "failed") {
    return (
      <div className={css.message}>
        <Failure error={run.error} title={t("sql.notRun")} />
      </div>
    );
  }
  const { results, error, duration_ms } = run.answer;
  return (
    <>
      {error === null ? null : <DatabaseError error={error} />}
      {results.length > 0 ? (
        // Mounted anew for each answer: the choice among results belongs to one run.
        <ResultSet
          key={`${run.request.offset}:${duration_ms}`}
          results={results}
          durationMs={duration_ms}
        />
      ) : error === null ? (
        <p className={css.hint}>{t("sql.empty")}</p>
      ) : null}
    </>
  );
}

function DatabaseError({ error }: { error: QueryError }) {
  const { t } = useTranslation();
  return (
    <div className={css.message} role="alert">
      <div className={css.error}>
        <strong>
          {t("sql.error", { code: error.code })}
          {error.position === null ? "" : ` ${t("sql.atPosition", { position: error.position })}`}
        </strong>
        <p>{error.message}</p>
        {error.detail === null ? null : <p className="muted">{error.detail}</p>}
        {error.hint === null ? null : (
          <p className="muted">{t("sql.hint", { hint: error.hint })}</p>
        )}
      </div>
    </div>
  );
}

function ResultSet({
  results,
  durationMs,
}: {
  results: readonly QueryResult[];
  durationMs: number;
}) {
  const { t } = useTranslation();
  const [index, setIndex] = useState(results.length - 1);
  const result = results[index];
  if (result === undefined) return null;
  const isTable = result.columns.length > 0;
  return (
    <>
      <div className={css.resultBar}>
        <div className="row">
          {results.length < 2
            ? null
            : results.map((each, position) => (
                <Button
                  key={position}
                  size="compact-xs"
                  variant={position === index ? "default" : "subtle"}
                  aria-pressed={position === index}
                  onClick={() => setIndex(position)}
                >
                  {position + 1}. {each.command.split(" ")[0]}
                </Button>
              ))}
          <span className="muted tabular" role="status">
            {summary(result, isTable, t)} · {formatDuration(durationMs)}
          </span>
          {result.truncated ? <span className={css.truncated}>{t("sql.truncated")}</span> : null}
        </div>
        {isTable ? <Exports result={result} /> : null}
      </div>
      {isTable ? (
        <ResultTable result={result} label={t("sql.resultRows")} />
      ) : (
        <p className={css.hint}>{result.command}</p>
      )}
    </>
  );
}

function summary(
  result: QueryResult,
  isTable: boolean,
  t: ReturnType<typeof useTranslation>["t"],
): string {
  const count = isTable ? result.rows.length : (result.rows_affected ?? 0);
  const formatted = formatCount(count);
  return isTable ? t("sql.rows", { count, formatted }) : t("sql.affected", { count, formatted });
}

function Exports({ result }: { result: QueryResult }) {
  const { t } = useTranslation();
  return (
    <div className="row">
      <Button
        size="compact-xs"
        variant="subtle"
        leftSection={<IconFileSpreadsheet size={15} />}
        aria-label={t("sql.exportCsv")}
        onClick={() => downloadText("result.csv", "text/csv", toCsv(result))}
      >
        CSV
      </Button>
      <Button
        size="compact-xs"
        variant="subtle"
        leftSection={<IconBraces size={15} />}
        aria-label={t("sql.exportJson")}
        onClick={() => downloadText("result.json", "application/json", toJson(result))}
      >
        JSON
      </Button>
    </div>
  );
}
