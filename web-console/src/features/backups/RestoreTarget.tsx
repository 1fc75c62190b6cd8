import { NativeSelect, TextInput } from "@mantine/core";
import type { UseFormReturn } from "react-hook-form";
import { useTranslation } from "react-i18next";
import type { RestorePoint, RestoreWindow } from "#/api/types";
import { formatMoment } from "#/lib/format";
import css from "./backups.module.css";
import { formatUtc, fromLocalInput, localZone, secondAfter, toLocalInput } from "./moments";
import { isTransaction, type Values } from "./restoring";

/** The field in which the moment is given, in the way that was chosen. */
export function RestoreTarget({
  form,
  deleted,
  window,
  points,
}: {
  form: UseFormReturn<Values>;
  deleted: boolean;
  window: RestoreWindow;
  points: readonly RestorePoint[];
}) {
  const { t } = useTranslation();
  const { errors } = form.formState;
  switch (form.watch("kind")) {
    case "latest":
      return window.latest ? (
        <p className="muted">
          {t(deleted ? "restore.latestHintDeleted" : "restore.latestHint", {
            at: formatMoment(window.latest),
          })}
        </p>
      ) : null;
    case "time":
      return <Moment form={form} deleted={deleted} window={window} />;
    case "restore_point":
      return (
        <NativeSelect
          label={t("restore.kind.restore_point")}
          data={points.map(({ name, made_at }) => ({
            value: name,
            label: made_at ? `${name} · ${formatMoment(made_at)}` : name,
          }))}
          {...form.register("restore_point")}
          error={errors.restore_point?.message}
        />
      );
    case "lsn":
      return (
        <TextInput
          label={t("restore.kind.lsn")}
          description={t("restore.lsnHint", {
            from: window.earliest_lsn ?? "–",
            until: window.latest_lsn ?? "–",
          })}
          placeholder="16/B374D848"
          maxLength={17}
          autoComplete="off"
          spellCheck={false}
          {...form.register("lsn", {
            validate: (text) =>
              /^[0-9A-Fa-f]{1,8}\/[0-9A-Fa-f]{1,8}$/.test(text.trim()) || t("restore.lsnForm"),
          })}
          error={errors.lsn?.message}
        />
      );
    case "transaction":
      return (
        <TextInput
          label={t("restore.kind.transaction")}
          description={t("restore.transactionHint")}
          inputMode="numeric"
          maxLength={10}
          autoComplete="off"
          {...form.register("transaction", {
            validate: (text) => isTransaction(text) || t("restore.transactionForm"),
          })}
          error={errors.transaction?.message}
        />
      );
  }
}

/** Date and time in the reader's zone, with the same moment in UTC below. */
function Moment({
  form,
  deleted,
  window,
}: {
  form: UseFormReturn<Values>;
  deleted: boolean;
  window: RestoreWindow;
}) {
  const { t } = useTranslation();
  // What a database has written that is there is archived in a moment.
  const latest = deleted && window.latest ? new Date(window.latest) : new Date();
  const at = fromLocalInput(form.watch("time"));
  return (
    <div className="stack" style={{ gap: 6 }}>
      <TextInput
        type="datetime-local"
        step={1}
        label={t("restore.kind.time")}
        description={t("restore.zone", { zone: localZone() })}
        {...(window.earliest ? { min: toLocalInput(secondAfter(window.earliest)) } : {})}
        max={toLocalInput(latest)}
        {...form.register("time", {
          validate: (text) => fromLocalInput(text) !== undefined || t("restore.timeForm"),
        })}
        error={form.formState.errors.time?.message}
      />
      <span className={`${css.sub} ${css.utc}`}>{at === undefined ? "" : formatUtc(at)}</span>
    </div>
  );
}
