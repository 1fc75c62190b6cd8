import { Drawer } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { Navigation } from "./Navigation";
import css from "./shell.module.css";

/** The navigation on small screens, over the page. */
export default function MobileMenu({
  onSearch,
  onClose,
}: {
  onSearch: () => void;
  onClose: () => void;
}) {
  const { t } = useTranslation();
  return (
    <Drawer
      opened
      onClose={onClose}
      size={280}
      padding={0}
      title={<span style={{ paddingLeft: 24 }}>{t("nav.menu")}</span>}
      styles={{
        content: { display: "flex", flexDirection: "column", background: "var(--ground)" },
        header: { background: "var(--ground)" },
        body: { display: "flex", flex: 1 },
      }}
      classNames={{ body: css.drawer ?? "" }}
    >
      <Navigation onSearch={onSearch} />
    </Drawer>
  );
}
