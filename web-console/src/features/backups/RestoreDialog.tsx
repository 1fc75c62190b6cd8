import { Button, Modal, NativeSelect, TextInput, VisuallyHidden } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { type UseFormReturn, useForm } from "react-hook-form";
import { useTranslation } from "react-i18next";
import { $api } from "#/api/client";
import { databasesChanged, queries } from "#/api/queries";
import type { Database, DatabaseRestore, RestorePoint, RestoreWindow } from "#/api/types";
import { formatMoment } from "#/lib/format";
import { spreadProblem } from "#/lib/problem-fields";
import { useSubmissionKey } from "#/lib/submission-key";
import { Failure } from "#/ui/Failure";
import ui from "#/ui/ui.module.css";
import choice from "../databases/databases.module.css";
import css from "./backups.module.css";
import { formatUtc, fromLocalInput, localZone, secondAfter, toLocalInput } from "./moments";

type Kind = "time" | "latest" | "restore_point" | "lsn" | "transaction";

type Where = "new" | "in_place";

type Values = {
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
function bodyOf(values: Values): DatabaseRestore {
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

/** Restores a database as it was at a moment that is chosen here: into a new one, or in place. */
export default function RestoreDialog({
  database,
  deleted = false,
  window,
  points,
  at,
  onClose,
}: {
  database: Pick<Database, "id" | "name">;
  /** Whether it is there no more: then its name is free, and its last moment is what is wanted. */
  deleted?: boolean;
  window: RestoreWindow;
  points: readonly RestorePoint[];
  /** The moment that is offered; the latest one if none is given. */
  at: string | undefined;
  onClose: () => void;
}) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const navigate = useNavigate();
  const [failure, setFailure] = useState<Error>();
  const made = points.filter(({ made_at }) => made_at);
  const form = useForm<Values>({
    defaultValues: {
      where: "new",
      typed: "",
      name: deleted ? database.name : t("restore.nameOf", { name: database.name }).slice(0, 63),
      kind: deleted ? "latest" : "time",
      time: toLocalInput(at ? secondAfter(at) : new Date(window.latest ?? Date.now())),
      restore_point: made[0]?.name ?? "",
      lsn: window.latest_lsn ?? "",
      transaction: "",
    },
  });
  const keyFor = useSubmissionKey();
  const restore = $api.useMutation("post", "/v1/databases/{database_id}/restore", {
    onSuccess: ({ database: restored, operation }) => {
      client.setQueryData(queries.database(restored.id).queryKey, restored);
      void databasesChanged(client);
      void navigate({
        to: "/databases/$databaseId/creation",
        params: { databaseId: restored.id },
        search: { operation: operation.id },
      });
    },
    onError: (thrown) =>
      setFailure(
        spreadProblem<Values>(
          thrown,
          ["name", "time", "restore_point", "lsn", "transaction"],
          form.setError,
        ),
      ),
  });
  const submit = form.handleSubmit((values) => {
    setFailure(undefined);
    const body = bodyOf(values);
    restore.mutate({
      params: { path: { database_id: database.id } },
      headers: { "Idempotency-Key": keyFor(JSON.stringify([database.id, body])) },
      body,
    });
  });
  const where = form.watch("where");
  const kinds: Kind[] = ["time", "latest", "restore_point", "lsn", "transaction"];
  return (
    <Modal opened onClose={onClose} title={t("restore.title", { name: database.name })} size="md">
      <form className="stack" noValidate onSubmit={submit}>
        {deleted ? <p className="muted">{t("restore.leadDeleted")}</p> : <Wheres form={form} />}
        {failure === undefined ? null : <Failure error={failure} title={t("restore.failed")} />}
        {where === "new" ? (
          <TextInput
            key="name"
            label={t("restore.name")}
            maxLength={63}
            autoComplete="off"
            spellCheck={false}
            {...form.register("name", {
              validate: (name) => name.trim() !== "" || t("form.required"),
            })}
            error={form.formState.errors.name?.message}
          />
        ) : null}
        <NativeSelect
          label={t("restore.to")}
          data={kinds
            .filter((kind) => kind !== "restore_point" || made.length > 0)
            .map((kind) => ({ value: kind, label: t(`restore.kind.${kind}`) }))}
          {...form.register("kind")}
        />
        <Target form={form} window={window} points={made} />
        {where === "in_place" ? (
          <>
            <p className={ui.note}>{t("restore.inPlaceNote")}</p>
            <TextInput
              key="typed"
              label={t("confirm.type", { name: database.name })}
              autoComplete="off"
              autoCapitalize="off"
              spellCheck={false}
              {...form.register("typed")}
            />
          </>
        ) : null}
        <div className="end">
          <Button variant="default" onClick={onClose} disabled={restore.isPending}>
            {t("cancel")}
          </Button>
          {where === "new" ? (
            <Button type="submit" loading={restore.isPending}>
              {t("restore.action")}
            </Button>
          ) : (
            <Button
              type="submit"
              color="danger"
              disabled={form.watch("typed") !== database.name}
              loading={restore.isPending}
            >
              {t("restore.actionInPlace")}
            </Button>
          )}
        </div>
      </form>
    </Modal>
  );
}

/** Whether a new database is made, or this one becomes what it was. */
function Wheres({ form }: { form: UseFormReturn<Values> }) {
  const { t } = useTranslation();
  return (
    <fieldset className={choice.sizes}>
      <VisuallyHidden component="legend">{t("restore.where")}</VisuallyHidden>
      {(["new", "in_place"] as const).map((where) => (
        <label key={where} className={choice.size}>
          <input type="radio" value={where} {...form.register("where")} />
          <strong>{t(`restore.into.${where}`)}</strong>
          <span>{t(`restore.intoHint.${where}`)}</span>
        </label>
      ))}
    </fieldset>
  );
}

function Target({
  form,
  window,
  points,
}: {
  form: UseFormReturn<Values>;
  window: RestoreWindow;
  points: readonly RestorePoint[];
}) {
  const { t } = useTranslation();
  const { errors } = form.formState;
  switch (form.watch("kind")) {
    case "latest":
      return window.latest ? (
        <p className="muted">{t("restore.latestHint", { at: formatMoment(window.latest) })}</p>
      ) : null;
    case "time":
      return <Moment form={form} window={window} />;
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
function Moment({ form, window }: { form: UseFormReturn<Values>; window: RestoreWindow }) {
  const { t } = useTranslation();
  const at = fromLocalInput(form.watch("time"));
  return (
    <div className="stack" style={{ gap: 6 }}>
      <TextInput
        type="datetime-local"
        step={1}
        label={t("restore.kind.time")}
        description={t("restore.zone", { zone: localZone() })}
        {...(window.earliest ? { min: toLocalInput(secondAfter(window.earliest)) } : {})}
        {...(window.latest ? { max: toLocalInput(new Date(window.latest)) } : {})}
        {...form.register("time", {
          validate: (text) => fromLocalInput(text) !== undefined || t("restore.timeForm"),
        })}
        error={form.formState.errors.time?.message}
      />
      <span className={`${css.sub} ${css.utc}`}>{at === undefined ? "" : formatUtc(at)}</span>
    </div>
  );
}

function isTransaction(text: string): boolean {
  return /^\d{1,10}$/.test(text.trim()) && Number(text) < 2 ** 32;
}
