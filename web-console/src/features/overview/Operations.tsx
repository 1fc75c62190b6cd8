import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { queries } from "#/api/queries";
import { hasEnded, type Operation } from "#/api/types";
import { formatDuration, formatMoment, formatRelative } from "#/lib/format";
import { Bone, Loaded } from "#/ui/Loaded";
import { Panel } from "#/ui/Panel";
import { State, type Tone } from "#/ui/State";
import css from "./overview.module.css";

/** Operations shown; older ones are in the API. */
const SHOWN_MAX = 6;

const TONES: Record<Operation["state"], Tone> = {
  pending: "warm",
  running: "warm",
  succeeded: "good",
  failed: "bad",
  cancelled: "calm",
};

/** What was done to a database lately, and how it ended. */
export function Operations({ databaseId }: { databaseId: string }) {
  const { t } = useTranslation();
  const query = useQuery({
    ...queries.operations(databaseId),
    refetchInterval: ({ state }) =>
      state.data?.items.every((operation) => hasEnded(operation)) ? 10_000 : 1_500,
  });
  return (
    <Panel title={t("operations.title")} flush>
      <Loaded query={query} skeleton={<Skeleton />}>
        {({ items }) => (
          <ul className={css.operations}>
            {[...items]
              .sort((one, other) => other.created_at.localeCompare(one.created_at))
              .slice(0, SHOWN_MAX)
              .map((operation) => (
                <Row key={operation.id} operation={operation} />
              ))}
          </ul>
        )}
      </Loaded>
    </Panel>
  );
}

function Row({ operation }: { operation: Operation }) {
  const { t } = useTranslation();
  const { state, created_at, ended_at, error } = operation;
  const took =
    ended_at === null
      ? undefined
      : formatDuration(new Date(ended_at ?? created_at).getTime() - new Date(created_at).getTime());
  return (
    <li className={css.operation}>
      <span className="row">
        <State
          tone={TONES[state]}
          moving={!hasEnded(operation)}
          label={t(`operations.state.${state}`)}
        />
        {t(`operations.kind.${operation.kind}`)}
      </span>
      <span className={css.when} title={formatMoment(created_at)}>
        {formatRelative(created_at, new Date())}
        {took === undefined ? null : ` · ${took}`}
      </span>
      {error === null || error === undefined ? null : <p>{error}</p>}
    </li>
  );
}

function Skeleton() {
  return (
    <div className="stack" style={{ padding: "8px 20px 20px" }}>
      <Bone height={22} />
      <Bone height={22} />
    </div>
  );
}
