import { Menu } from "@mantine/core";
import IconLogout from "@tabler/icons-react/dist/esm/icons/IconLogout.mjs";
import IconUser from "@tabler/icons-react/dist/esm/icons/IconUser.mjs";
import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { $api } from "#/api/client";
import css from "./shell.module.css";
import { useScope } from "./useScope";

export function PersonMenu() {
  const { t } = useTranslation();
  const { me } = useScope();
  const client = useQueryClient();
  const navigate = useNavigate();
  const logOut = $api.useMutation("post", "/v1/auth/log-out", {
    onSuccess: async () => {
      await navigate({ to: "/log-in", search: {} });
      client.clear();
    },
  });
  const name = me.user.display_name || me.user.email;
  return (
    <Menu position="top-start" width="target">
      <Menu.Target>
        <button type="button" className={css.person}>
          <span className={css.initial} aria-hidden="true">
            {name.slice(0, 1).toUpperCase()}
          </span>
          <span className={css.personText}>
            <span>{name}</span>
            <span>{me.user.email}</span>
          </span>
        </button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item
          leftSection={<IconUser size={16} />}
          onClick={() => void navigate({ to: "/account" })}
        >
          {t("nav.account")}
        </Menu.Item>
        <Menu.Item leftSection={<IconLogout size={16} />} onClick={() => logOut.mutate({})}>
          {logOut.isError ? t("nav.logOutFailed") : t("nav.logOut")}
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
