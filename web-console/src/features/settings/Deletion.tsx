import { Button } from "@mantine/core";
import { lazy, Suspense, useState } from "react";
import { useTranslation } from "react-i18next";
import type { Database } from "#/api/types";
import { Panel } from "#/ui/Panel";
import ui from "#/ui/ui.module.css";

const DeletionDialog = lazy(() => import("./DeletionDialog"));

export function Deletion({ database }: { database: Database }) {
  const { t } = useTranslation();
  const [asking, setAsking] = useState(false);
  return (
    <Panel title={t("deletion.title")} lead={t("deletion.lead")} danger>
      <div className="stack">
        {database.deletion_protection ? <p className={ui.note}>{t("deletion.protected")}</p> : null}
        <div>
          <Button
            color="danger"
            disabled={database.deletion_protection || database.state === "deleting"}
            onClick={() => setAsking(true)}
          >
            {t("deletion.action")}
          </Button>
        </div>
      </div>
      {asking ? (
        <Suspense>
          <DeletionDialog database={database} onClose={() => setAsking(false)} />
        </Suspense>
      ) : null}
    </Panel>
  );
}
