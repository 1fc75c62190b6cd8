import { Modal, useMantineColorScheme } from "@mantine/core";
import { useNavigate, useParams } from "@tanstack/react-router";
import { type KeyboardEvent, useId, useState } from "react";
import { useTranslation } from "react-i18next";
import { queries } from "#/api/queries";
import { useWhole } from "#/api/whole";
import { type Command, matchCommands } from "./commands";
import css from "./Palette.module.css";
import { useScope } from "./useScope";

/** Every place and act of the console, found by typing. */
export default function Palette({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  const { t } = useTranslation();
  return (
    <Modal
      opened={opened}
      onClose={onClose}
      withCloseButton={false}
      padding={0}
      size={560}
      yOffset="14vh"
      centered={false}
      attributes={{ content: { "aria-label": t("palette.title") } }}
      transitionProps={{ duration: 90, transition: "fade" }}
      classNames={{ body: css.body ?? "" }}
    >
      <Search onClose={onClose} />
    </Modal>
  );
}

function useCommands(): Command[] {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const { projectId } = useScope();
  const { databaseId } = useParams({ strict: false });
  const { items: databases = [] } = useWhole(queries.databases(projectId));
  const { setColorScheme } = useMantineColorScheme();
  const here = databases.find(({ id }) => id === databaseId);
  const commands: Command[] = [];
  if (databaseId !== undefined) {
    const params = { databaseId };
    const group = here?.name ?? t("nav.database");
    commands.push(
      {
        group,
        label: t("palette.connect"),
        run: () =>
          void navigate({ to: "/databases/$databaseId", params, search: { connect: true } }),
      },
      {
        group,
        label: t("nav.overview"),
        run: () => void navigate({ to: "/databases/$databaseId", params }),
      },
      {
        group,
        label: t("nav.sql"),
        run: () => void navigate({ to: "/databases/$databaseId/sql", params }),
      },
      {
        group,
        label: t("nav.roles"),
        run: () => void navigate({ to: "/databases/$databaseId/roles", params }),
      },
      {
        group,
        label: t("nav.backups"),
        run: () => void navigate({ to: "/databases/$databaseId/backups", params }),
      },
      {
        group,
        label: t("nav.imports"),
        run: () => void navigate({ to: "/databases/$databaseId/imports", params }),
      },
      {
        group,
        label: t("nav.settings"),
        run: () => void navigate({ to: "/databases/$databaseId/settings", params }),
      },
    );
  }
  for (const { id, name } of databases) {
    commands.push({
      group: t("nav.databases"),
      label: name,
      hint: id,
      run: () => void navigate({ to: "/databases/$databaseId", params: { databaseId: id } }),
    });
  }
  const general = t("palette.general");
  commands.push(
    {
      group: general,
      label: t("databases.create"),
      run: () => void navigate({ to: "/databases/new" }),
    },
    {
      group: general,
      label: t("palette.allDatabases"),
      run: () => void navigate({ to: "/databases" }),
    },
    { group: general, label: t("nav.activity"), run: () => void navigate({ to: "/activity" }) },
    { group: general, label: t("nav.usage"), run: () => void navigate({ to: "/usage" }) },
    { group: general, label: t("nav.billing"), run: () => void navigate({ to: "/billing" }) },
    { group: general, label: t("plan.compare"), run: () => void navigate({ to: "/billing/plan" }) },
    { group: general, label: t("nav.sessions"), run: () => void navigate({ to: "/account" }) },
    { group: general, label: t("nav.tokens"), run: () => void navigate({ to: "/account/tokens" }) },
    ...(["light", "dark", "auto"] as const).map((scheme) => ({
      group: t("scheme.label"),
      label: t(`scheme.${scheme}`),
      run: () => setColorScheme(scheme),
    })),
  );
  return commands;
}

function Search({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  const list = useId();
  const [text, setText] = useState("");
  const [index, setIndex] = useState(0);
  const found = matchCommands(useCommands(), text);
  const at = Math.min(index, Math.max(found.length - 1, 0));
  const run = (command: Command | undefined) => {
    if (command === undefined) return;
    onClose();
    command.run();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (step !== 0 && found.length > 0) {
      event.preventDefault();
      const next = (at + step + found.length) % found.length;
      setIndex(next);
      document.getElementById(`${list}-${next}`)?.scrollIntoView({ block: "nearest" });
    }
    if (event.key === "Enter") {
      event.preventDefault();
      run(found[at]);
    }
  };
  return (
    <>
      <input
        className={css.input}
        role="combobox"
        aria-expanded={found.length > 0}
        aria-controls={list}
        aria-activedescendant={found.length === 0 ? undefined : `${list}-${at}`}
        aria-label={t("palette.title")}
        placeholder={t("palette.placeholder")}
        value={text}
        onChange={(event) => {
          setText(event.currentTarget.value);
          setIndex(0);
        }}
        onKeyDown={onKeyDown}
        data-autofocus
      />
      {found.length === 0 ? (
        <p className={css.none} role="status">
          {t("palette.none")}
        </p>
      ) : null}
      <div
        className={css.list}
        role="listbox"
        id={list}
        aria-label={t("palette.title")}
        hidden={found.length === 0}
      >
        {found.map((command, position) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the keys are the input's, which keeps the focus
          <div
            key={`${command.group}/${command.label}/${command.hint ?? ""}`}
            id={`${list}-${position}`}
            role="option"
            tabIndex={-1}
            aria-selected={position === at}
            className={css.option}
            onMouseMove={() => setIndex(position)}
            onClick={() => run(command)}
          >
            <span>{command.label}</span>
            <span className={css.group}>{command.group}</span>
          </div>
        ))}
      </div>
    </>
  );
}
