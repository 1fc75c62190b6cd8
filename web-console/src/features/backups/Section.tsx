import { Button } from "@mantine/core";
import type { InfiniteData, UseInfiniteQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { itemsOf } from "#/api/queries";
import { BoneRows, Loaded } from "#/ui/Loaded";
import { More } from "#/ui/More";
import { Panel } from "#/ui/Panel";

/** A titled list, the newest first, with a button to add to it where there is one. */
export function Section<Item>({
  title,
  lead,
  none,
  query,
  action,
  disabled = false,
  onAction,
  children,
}: {
  title: string;
  lead: string;
  /** Said in the place of an empty list. */
  none: string;
  query: UseInfiniteQueryResult<InfiniteData<{ items: Item[] }>, unknown>;
  action?: string;
  disabled?: boolean;
  onAction?: () => void;
  children: (items: Item[]) => ReactNode;
}) {
  const { t } = useTranslation();
  const items = itemsOf(query.data);
  return (
    <Panel
      title={title}
      lead={lead}
      flush
      actions={
        action === undefined ? undefined : (
          <Button size="sm" variant="default" disabled={disabled} onClick={onAction}>
            {action}
          </Button>
        )
      }
    >
      <Loaded query={query} skeleton={<BoneRows />}>
        {() =>
          items.length === 0 ? (
            <p className="muted" style={{ padding: 20 }}>
              {none}
            </p>
          ) : (
            children(items)
          )
        }
      </Loaded>
      <More query={query} label={t("older")} flush />
    </Panel>
  );
}
