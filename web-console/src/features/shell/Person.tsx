import { ActionIcon } from "@mantine/core";
import IconLogout from "@tabler/icons-react/dist/esm/icons/IconLogout.mjs";
import { useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { $api } from "#/api/client";
import css from "./shell.module.css";
import { useScope } from "./useScope";

/** Who is logged in, and the way out. */
export function Person() {
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
  const label = logOut.isError ? t("nav.logOutFailed") : t("nav.logOut");
  return (
    <div className={css.person}>
      <Link to="/account" className={css.personLink}>
        <span className={css.initial} aria-hidden="true">
          {name.slice(0, 1).toUpperCase()}
        </span>
        <span className={css.personText}>
          <span>{name}</span>
          <span title={me.user.email}>{me.user.email}</span>
        </span>
      </Link>
      <ActionIcon
        variant="subtle"
        size="lg"
        title={label}
        aria-label={label}
        loading={logOut.isPending}
        onClick={() => logOut.mutate({})}
      >
        <IconLogout size={17} />
      </ActionIcon>
    </div>
  );
}
