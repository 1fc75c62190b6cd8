import { Button, Select, TextInput } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useForm } from "react-hook-form";
import { useTranslation } from "react-i18next";
import { $api } from "#/api/client";
import { databasesChanged, queries } from "#/api/queries";
import type { Database, Region } from "#/api/types";
import { spreadProblem } from "#/lib/problem-fields";
import { useSubmissionKey } from "#/lib/submission-key";
import { Failure } from "#/ui/Failure";
import { Bone, Loaded } from "#/ui/Loaded";
import { Page } from "#/ui/Page";
import { Panel } from "#/ui/Panel";
import { useScope } from "../shell/useScope";
import { DurabilityChoice } from "./DurabilityChoice";
import { SizeChoice } from "./SizeChoice";
import { usePlan } from "./usePlan";

export function DatabaseCreate() {
  const { t } = useTranslation();
  const regions = useQuery(queries.regions());
  return (
    <Page title={t("create.title")} lead={t("create.lead")} narrow>
      <Panel>
        <Loaded query={regions} skeleton={<FormSkeleton />}>
          {({ items }) => <Form regions={items} />}
        </Loaded>
      </Panel>
    </Page>
  );
}

type Values = {
  name: string;
  region: string;
  milli_vcpu: number | undefined;
  durability: Database["durability"];
};

function Form({ regions }: { regions: readonly Region[] }) {
  const { t } = useTranslation();
  const { projectId } = useScope();
  const client = useQueryClient();
  const navigate = useNavigate();
  const plan = usePlan();
  const [failure, setFailure] = useState<Error>();
  const form = useForm<Values>({
    defaultValues: {
      name: "",
      region: regions[0]?.name ?? "",
      milli_vcpu: undefined,
      durability: "local",
    },
  });
  const { errors } = form.formState;
  const milliVcpu = form.watch("milli_vcpu") ?? plan.data?.plan?.compute_milli_vcpu_default;
  const keyFor = useSubmissionKey();
  const create = $api.useMutation("post", "/v1/projects/{project_id}/databases", {
    onSuccess: (made) => {
      // A quote is answered only where one was asked for.
      if (!("database" in made)) return;
      const { database, operation } = made;
      client.setQueryData(queries.database(database.id).queryKey, database);
      void databasesChanged(client);
      void navigate({
        to: "/databases/$databaseId/creation",
        params: { databaseId: database.id },
        search: { operation: operation.id },
      });
    },
    onError: (thrown) =>
      setFailure(
        spreadProblem(thrown, ["name", "region", "milli_vcpu", "durability"], form.setError),
      ),
  });
  const submit = form.handleSubmit(({ name, region, durability }) => {
    setFailure(undefined);
    const body = {
      name: name.trim(),
      ...(region === "" ? {} : { region }),
      ...(milliVcpu === undefined ? {} : { milli_vcpu: milliVcpu }),
      ...(durability === "local" ? {} : { durability }),
    };
    create.mutate({
      params: { path: { project_id: projectId } },
      headers: { "Idempotency-Key": keyFor(JSON.stringify([projectId, body])) },
      body,
    });
  });
  return (
    <form className="stack-lg" noValidate onSubmit={submit}>
      {failure === undefined ? null : <Failure error={failure} title={t("create.failed")} />}
      <TextInput
        label={t("create.name")}
        description={t("create.nameHint")}
        placeholder="shop"
        size="md"
        maxLength={63}
        autoComplete="off"
        spellCheck={false}
        {...form.register("name", { validate: (name) => name.trim() !== "" || t("form.required") })}
        error={errors.name?.message}
      />
      <Select
        label={t("create.region")}
        description={regions.length === 1 ? t("create.regionOnly") : t("create.regionHint")}
        size="md"
        data={regions.map(({ name, display_name }) => ({ value: name, label: display_name }))}
        value={form.watch("region")}
        onChange={(region) => form.setValue("region", region ?? "")}
        error={errors.region?.message}
      />
      <Loaded query={plan} skeleton={<Bone height={92} />}>
        {({ sizes, milliVcpuMax }) => (
          <SizeChoice
            sizes={sizes}
            milliVcpuMax={milliVcpuMax}
            value={milliVcpu}
            onChange={(value) => form.setValue("milli_vcpu", value)}
          />
        )}
      </Loaded>
      <Loaded query={plan} skeleton={<Bone height={92} />}>
        {(data) => (
          <DurabilityChoice
            plan={data.plan}
            value={form.watch("durability")}
            onChange={(value) => form.setValue("durability", value)}
          />
        )}
      </Loaded>
      <div className="end">
        <Button component={Link} to="/databases" variant="default">
          {t("cancel")}
        </Button>
        <Button type="submit" loading={create.isPending}>
          {t("databases.create")}
        </Button>
      </div>
    </form>
  );
}

function FormSkeleton() {
  return (
    <div className="stack">
      <Bone height={64} />
      <Bone height={64} />
      <Bone height={92} />
    </div>
  );
}
