import { Button } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { LostArt } from "#/ui/art/LostArt";
import { Empty } from "#/ui/Empty";
import { useTitle } from "#/ui/Page";
import page from "#/ui/Page.module.css";

/** In place of a page that is not there. */
export function Lost() {
  const { t } = useTranslation();
  useTitle(t("lost.title"));
  return (
    <div className={page.page}>
      <Empty
        art={<LostArt />}
        title={t("lost.title")}
        isPage
        actions={
          <Button component={Link} to="/databases">
            {t("lost.home")}
          </Button>
        }
      >
        <p>{t("lost.text")}</p>
      </Empty>
    </div>
  );
}
