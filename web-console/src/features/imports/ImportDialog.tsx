import { Button, Modal, NativeSelect, Textarea, TextInput } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useForm } from "react-hook-form";
import { useTranslation } from "react-i18next";
import { $api } from "#/api/client";
import { databasesChanged, queries } from "#/api/queries";
import type { Database } from "#/api/types";
import { spreadProblem } from "#/lib/problem-fields";
import { useSubmissionKey } from "#/lib/submission-key";
import { Failure } from "#/ui/Failure";
import { notifyDone } from "#/ui/notify";

type Values = {
  source: string;
  logical_database: string;
  afterwards: "end" | "follow";
  ca_certificate_pem: string;
};

/** Asks where to copy from, and into what. */
export default function ImportDialog({
  database,
  onClose,
}: {
  database: Database;
  onClose: () => void;
}) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const [failure, setFailure] = useState<Error>();
  const targets = useQuery(queries.logicalDatabases(database.id));
  const form = useForm<Values>({
    defaultValues: {
      source: "",
      logical_database: "main",
      afterwards: "end",
      ca_certificate_pem: "",
    },
  });
  const { errors } = form.formState;
  const keyFor = useSubmissionKey();
  const create = $api.useMutation("post", "/v1/databases/{database_id}/imports", {
    onSuccess: () => {
      notifyDone(t("imports.started"));
      void databasesChanged(client);
      onClose();
    },
    onError: (thrown) =>
      setFailure(
        spreadProblem<Values>(
          thrown,
          ["source", "logical_database", "ca_certificate_pem"],
          form.setError,
        ),
      ),
  });
  const submit = form.handleSubmit((values) => {
    setFailure(undefined);
    const pem = values.ca_certificate_pem.trim();
    const body = {
      source: values.source.trim(),
      logical_database: values.logical_database,
      continuous: values.afterwards === "follow",
      ...(pem === "" ? {} : { ca_certificate_pem: pem }),
    };
    create.mutate({
      params: { path: { database_id: database.id } },
      headers: { "Idempotency-Key": keyFor(JSON.stringify([database.id, body])) },
      body,
    });
  });
  return (
    <Modal opened onClose={onClose} title={t("imports.title", { name: database.name })} size="md">
      <form className="stack" noValidate onSubmit={submit}>
        <p className="muted">{t("imports.lead")}</p>
        {failure === undefined ? null : <Failure error={failure} title={t("imports.refused")} />}
        <TextInput
          label={t("imports.source")}
          description={t("imports.sourceHint")}
          placeholder="postgres://user:password@db.example.com:5432/shop"
          autoComplete="off"
          spellCheck={false}
          data-autofocus
          {...form.register("source", {
            validate: (text) => text.trim() !== "" || t("form.required"),
          })}
          error={errors.source?.message}
        />
        <NativeSelect
          label={t("imports.target")}
          description={t("imports.targetHint")}
          data={(targets.data?.items ?? []).map(({ name }) => name)}
          {...form.register("logical_database")}
          error={errors.logical_database?.message}
        />
        <NativeSelect
          label={t("imports.afterwards")}
          description={t("imports.followHint")}
          data={[
            { value: "end", label: t("imports.end") },
            { value: "follow", label: t("imports.follow") },
          ]}
          {...form.register("afterwards")}
        />
        <Textarea
          label={t("imports.certificates")}
          description={t("imports.certificatesHint")}
          rows={3}
          spellCheck={false}
          {...form.register("ca_certificate_pem")}
          error={errors.ca_certificate_pem?.message}
        />
        <div className="end">
          <Button variant="default" onClick={onClose} disabled={create.isPending}>
            {t("cancel")}
          </Button>
          <Button type="submit" loading={create.isPending}>
            {t("imports.start")}
          </Button>
        </div>
      </form>
    </Modal>
  );
}
