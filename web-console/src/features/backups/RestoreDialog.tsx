import { Modal } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { queries } from "#/api/queries";
import type { Database } from "#/api/types";
import { useWhole } from "#/api/whole";
import { Bone, Loaded, Loading } from "#/ui/Loaded";
import { RestoreForm } from "./RestoreForm";

/** Restores a database as it was at a moment that is chosen here: into a new one, or in place. */
export default function RestoreDialog({
  database,
  deleted = false,
  at,
  onClose,
}: {
  database: Pick<Database, "id" | "name">;
  /** Whether it is there no more: then its name is free, and its last moment is what is wanted. */
  deleted?: boolean;
  /** The moment that is offered; the latest one if none is given. */
  at?: string | undefined;
  onClose: () => void;
}) {
  const { t } = useTranslation();
  const window = useQuery(queries.restoreWindow(database.id));
  // Not kept: the choice begins with the newest that there is now.
  const points = useWhole(queries.restorePoints(database.id), { gcTime: 0 });
  const skeleton = <Bone height={320} />;
  return (
    <Modal opened onClose={onClose} title={t("restore.title", { name: database.name })} size="md">
      <Loaded query={window} skeleton={skeleton}>
        {(known) =>
          // Whose restore points cannot be read can still restore to any moment.
          points.items !== undefined || points.isFetched ? (
            <RestoreForm
              database={database}
              deleted={deleted}
              window={known}
              points={points.items ?? []}
              at={at}
              onClose={onClose}
            />
          ) : (
            <Loading>{skeleton}</Loading>
          )
        }
      </Loaded>
    </Modal>
  );
}
