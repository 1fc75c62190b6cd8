import { ActionIcon } from "@mantine/core";
import IconPlus from "@tabler/icons-react/dist/esm/icons/IconPlus.mjs";
import IconX from "@tabler/icons-react/dist/esm/icons/IconX.mjs";
import { memo } from "react";
import { useTranslation } from "react-i18next";
import css from "./TabBar.module.css";
import { type Tab, type TabAction, type Tabs, tabLabel } from "./tabs";

export function TabBar({
  state,
  dispatch,
}: {
  state: Tabs;
  dispatch: (action: TabAction) => void;
}) {
  const { t } = useTranslation();
  return (
    <div className={css.tabBar}>
      <ul className={css.tabs} aria-label={t("sql.tabs")}>
        {state.tabs.map((tab) => (
          <TabItem key={tab.id} tab={tab} active={tab.id === state.activeId} dispatch={dispatch} />
        ))}
      </ul>
      <ActionIcon
        variant="subtle"
        aria-label={t("sql.newTab")}
        onClick={() => dispatch({ type: "open", title: t("sql.query") })}
      >
        <IconPlus size={17} />
      </ActionIcon>
    </div>
  );
}

/** Remembered, so that typing in one of many tabs draws that one alone. */
const TabItem = memo(function TabItem({
  tab,
  active,
  dispatch,
}: {
  tab: Tab;
  active: boolean;
  dispatch: (action: TabAction) => void;
}) {
  const { t } = useTranslation();
  const label = tabLabel(tab);
  return (
    <li className={css.tab} data-active={active || undefined}>
      <button
        type="button"
        className={css.tabName}
        aria-current={active ? "true" : undefined}
        onClick={() => dispatch({ type: "choose", id: tab.id })}
      >
        {label}
      </button>
      <button
        type="button"
        className={css.tabClose}
        aria-label={t("sql.closeTab", { name: label })}
        onClick={() => dispatch({ type: "close", id: tab.id, title: t("sql.query") })}
      >
        <IconX size={13} />
      </button>
    </li>
  );
});
