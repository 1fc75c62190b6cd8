import { Button, NativeSelect, TextInput, VisuallyHidden } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { type UseFormReturn, useForm } from "react-hook-form";
import { useTranslation } from "react-i18next";
import { $api } from "#/api/client";
import { databasesChanged, queries } from "#/api/queries";
import type { Database, RestorePoint, RestoreWindow } from "#/api/types";
import { spreadProblem } from "#/lib/problem-fields";
import { useSubmissionKey } from "#/lib/submission-key";
import { Failure } from "#/ui/Failure";
import ui from "#/ui/ui.module.css";
import css from "../databases/Choice.module.css";
import { secondAfter, toLocalInput } from "./moments";
import { RestoreTarget } from "./RestoreTarget";
import { bodyOf, KINDS, type Values } from "./restoring";

/** Asks what a database shall be restored to, and where to, and begins it. */
export function RestoreForm({
  database,
  deleted,
  window,
  points,
  at,
  onClose,
}: {
  database: Pick<Database, "id" | "name">;
  /** Whether it is there no more: then its name is free, and its last moment is what is wanted. */
  deleted: boolean;
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
  return (
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
        data={KINDS.filter((kind) => kind !== "restore_point" || made.length > 0).map((kind) => ({
          value: kind,
          label: t(`restore.kind.${kind}`),
        }))}
        {...form.register("kind")}
      />
      <RestoreTarget form={form} deleted={deleted} window={window} points={made} />
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
  );
}

/** Whether a new database is made, or this one becomes what it was. */
function Wheres({ form }: { form: UseFormReturn<Values> }) {
  const { t } = useTranslation();
  return (
    <fieldset className={css.choices}>
      <VisuallyHidden component="legend">{t("restore.where")}</VisuallyHidden>
      {(["new", "in_place"] as const).map((where) => (
        <label key={where} className={css.choice}>
          <input type="radio" value={where} {...form.register("where")} />
          <strong>{t(`restore.into.${where}`)}</strong>
          <span>{t(`restore.intoHint.${where}`)}</span>
        </label>
      ))}
    </fieldset>
  );
}
