import { Button, Loader } from "@mantine/core";
import IconBraces from "@tabler/icons-react/dist/esm/icons/IconBraces.mjs";
import IconFileSpreadsheet from "@tabler/icons-react/dist/esm/icons/IconFileSpreadsheet.mjs";
import type { TFunction } from "i18next";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import type { QueryError, QueryResult } from "#/api/types";
import { downloadText } from "#/lib/download";
import { formatCount, formatDuration } from "#/lib/format";
import { Failure } from "#/ui/Failure";
import { toCsv, toJson } from "./export";
import { RUN_KEYS } from "./keys";
import { editorOffset, lineAt } from "./position";
import css from "./Results.module.css";
import { ResultTable } from "./ResultTable";
import type { Request, Run } from "./useRun";

/** What came of the last run. An error of the database is a result like any other. */
export function Results({ run }: { run: Run | undefined }) {
  const { t } = useTranslation();
  if (run === undefined) {
    return <p className={css.hint}>{t("sql.nothingYet", { keys: RUN_KEYS })}</p>;
  }
  if (run.state === "running") {
    return (
      <p className={css.hint} role="status">
        <Loader size="xs" /> {run.cancelling ? t("sql.cancelling") : t("sql.running")}
        {run.cancelling ? null : <Elapsed key={run.queryId} />}
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
      {error === null ? null : run.isCancelled ? (
        <p className={css.hint} role="status">
          {t("sql.cancelled")}
        </p>
      ) : (
        <DatabaseError error={error} request={run.request} />
      )}
      {results.length > 0 ? (
        // Mounted anew for each answer: the choice among results belongs to one run.
        <ResultSet
          key={`${run.request.before.length}:${duration_ms}`}
          results={results}
          durationMs={duration_ms}
        />
      ) : error === null ? (
        <p className={css.hint}>{t("sql.empty")}</p>
      ) : null}
    </>
  );
}

/** How long a query has been running: for eyes, as a voice that counts would never end. */
function Elapsed() {
  const [seconds, setSeconds] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => setSeconds((now) => now + 1), 1_000);
    return () => clearInterval(timer);
  }, []);
  return (
    <span className="tabular" aria-hidden="true">
      {seconds} s
    </span>
  );
}

function DatabaseError({ error, request }: { error: QueryError; request: Request }) {
  const { t } = useTranslation();
  const place =
    error.position === null || error.position === undefined
      ? ""
      : ` ${t("sql.atPosition", placeIn(request, error.position))}`;
  return (
    <div className={css.message} role="alert">
      <div className={css.error}>
        <strong>
          {t("sql.error", { code: error.code })}
          {place}
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

/** Where in the editor, of which the part after `before` was run. */
function placeIn({ sql, before }: Request, position: number) {
  return lineAt(before + sql, before.length + editorOffset(sql, position));
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
        <>
          <ResultTable result={result} label={t("sql.resultRows")} />
          {result.rows.length === 0 ? <p className={css.hint}>{t("sql.noRows")}</p> : null}
        </>
      ) : (
        <p className={css.hint}>{result.command}</p>
      )}
    </>
  );
}

function summary(result: QueryResult, isTable: boolean, t: TFunction): string {
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
