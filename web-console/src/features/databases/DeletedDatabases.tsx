import { Button, VisuallyHidden } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { lazy, Suspense, useState } from "react";
import { useTranslation } from "react-i18next";
import { itemsOf, queries } from "#/api/queries";
import type { DeletedDatabase } from "#/api/types";
import { formatMoment } from "#/lib/format";
import { More } from "#/ui/More";
import { Panel } from "#/ui/Panel";
import ui from "#/ui/ui.module.css";

const RestoreDialog = lazy(() => import("../backups/RestoreDialog"));

/** Databases of a project that were deleted and can be restored; nothing where there is none. */
export function DeletedDatabases({ projectId }: { projectId: string }) {
  const { t } = useTranslation();
  const query = useInfiniteQuery(queries.deletedDatabases(projectId));
  const [chosen, setChosen] = useState<DeletedDatabase>();
  const databases = itemsOf(query.data);
  if (databases.length === 0) return null;
  return (
    <Panel title={t("deleted.title")} lead={t("deleted.lead")} flush>
      <div className={ui.tableWrap}>
        <table className={ui.table}>
          <thead>
            <tr>
              <th scope="col">{t("form.nameOf")}</th>
              <th scope="col" className={ui.spare}>
                {t("deleted.deleted")}
              </th>
              <th scope="col">{t("deleted.until")}</th>
              <th scope="col" className={ui.tight}>
                <VisuallyHidden>{t("actions")}</VisuallyHidden>
              </th>
            </tr>
          </thead>
          <tbody>
            {databases.map((database) => (
              <tr key={database.id}>
                <td>{database.name}</td>
                <td className={ui.spare}>{formatMoment(database.deleted_at)}</td>
                <td>{formatMoment(database.restorable_until)}</td>
                <td className={ui.tight}>
                  {database.latest ? (
                    <Button
                      size="xs"
                      variant="default"
                      aria-label={t("deleted.restoreNamed", {
                        name: database.name,
                        at: formatMoment(database.deleted_at),
                      })}
                      onClick={() => setChosen(database)}
                    >
                      {t("deleted.restore")}
                    </Button>
                  ) : (
                    <span className="muted">{t("deleted.never")}</span>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <More query={query} label={t("more")} flush />
      {chosen === undefined ? null : (
        <Suspense>
          <RestoreDialog database={chosen} deleted onClose={() => setChosen(undefined)} />
        </Suspense>
      )}
    </Panel>
  );
}
