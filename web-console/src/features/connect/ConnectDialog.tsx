import { Button, FocusTrap, Modal, NativeSelect } from "@mantine/core";
import IconDownload from "@tabler/icons-react/dist/esm/icons/IconDownload.mjs";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { queries } from "#/api/queries";
import type { Connection, Database, LogicalDatabase, Role } from "#/api/types";
import { downloadText } from "#/lib/download";
import { passwordsIn } from "#/lib/secrets";
import { Bone, Loaded } from "#/ui/Loaded";
import { SecretText } from "#/ui/Secret";
import ui from "#/ui/ui.module.css";
import css from "./connect.module.css";
import { ResetPassword } from "./ResetPassword";

/** How to reach a database, for the client at hand. */
export default function ConnectDialog({
  database,
  onClose,
}: {
  database: Database;
  onClose: () => void;
}) {
  const { t } = useTranslation();
  const roles = useQuery(queries.roles(database.id));
  const logical = useQuery(queries.logicalDatabases(database.id));
  return (
    <Modal opened onClose={onClose} title={t("connect.title", { name: database.name })} size={640}>
      {/* Keeps the first focus, so that a dialog that opens by itself points at nothing. */}
      <FocusTrap.InitialFocus />
      <Loaded query={roles} skeleton={<DialogSkeleton />}>
        {({ items: allRoles }) => (
          <Loaded query={logical} skeleton={<DialogSkeleton />}>
            {({ items }) => <Choices database={database} roles={allRoles} logical={items} />}
          </Loaded>
        )}
      </Loaded>
    </Modal>
  );
}

function Choices({
  database,
  roles,
  logical,
}: {
  database: Database;
  roles: readonly Role[];
  logical: readonly LogicalDatabase[];
}) {
  const { t } = useTranslation();
  const owner = roles.find(({ is_owner }) => is_owner) ?? roles[0];
  const [roleName, setRoleName] = useState(owner?.name ?? "owner");
  const [logicalName, setLogicalName] = useState(logical[0]?.name ?? "main");
  const role = roles.find(({ name }) => name === roleName);
  const connection = useQuery(queries.connection(database.id, roleName, logicalName));
  return (
    <div className="stack">
      <p className={css.protocol}>
        <strong>{t("connect.protocol")}</strong>
        {t("connect.protocolHint")}
      </p>
      <div className={css.controls}>
        <NativeSelect
          label={t("connect.role")}
          data={roles.map(({ name }) => name)}
          value={roleName}
          onChange={(event) => setRoleName(event.currentTarget.value)}
        />
        <NativeSelect
          label={t("connect.logicalDatabase")}
          data={logical.map(({ name }) => name)}
          value={logicalName}
          onChange={(event) => setLogicalName(event.currentTarget.value)}
        />
      </div>
      <Loaded query={connection} skeleton={<Bone height={150} />}>
        {(data) => <Strings connection={data} />}
      </Loaded>
      {database.state === "asleep" ? <p className={ui.note}>{t("connect.asleep")}</p> : null}
      {database.state === "suspended" ? <p className={ui.note}>{t("connect.suspended")}</p> : null}
      {role === undefined ? null : (
        <ResetPassword key={role.id} databaseId={database.id} role={role} />
      )}
    </div>
  );
}

function Strings({ connection }: { connection: Connection }) {
  const { t } = useTranslation();
  const [chosen, setChosen] = useState(connection.strings[0]?.id);
  const form = connection.strings.find(({ id }) => id === chosen) ?? connection.strings[0];
  if (form === undefined) return null;
  const uri = connection.strings.find(({ id }) => id === "uri")?.text ?? "";
  const secrets = connection.password_included ? passwordsIn(uri) : [];
  const { ca_certificate_pem: certificate } = connection;
  return (
    <>
      <fieldset className={css.clients}>
        <legend>{t("connect.client")}</legend>
        {connection.strings.map(({ id, label }) => (
          <label key={id} className={css.client}>
            <input
              type="radio"
              name="client"
              checked={id === form.id}
              onChange={() => setChosen(id)}
            />
            {label}
          </label>
        ))}
      </fieldset>
      <SecretText text={form.text} secrets={secrets} label={form.label} heading={form.label} />
      {connection.password_included ? null : (
        <p className={ui.note}>{t("connect.withoutPassword")}</p>
      )}
      {certificate ? (
        <div className="between">
          <p className="muted">{t("connect.certificate")}</p>
          <Button
            variant="default"
            size="xs"
            leftSection={<IconDownload size={15} />}
            onClick={() => downloadText("lumadb-ca.pem", "application/x-pem-file", certificate)}
          >
            {t("connect.download")}
          </Button>
        </div>
      ) : null}
    </>
  );
}

function DialogSkeleton() {
  return (
    <div className="stack">
      <Bone height={60} />
      <Bone height={150} />
    </div>
  );
}
