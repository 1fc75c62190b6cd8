import { Button, Modal } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { SecretText } from "#/ui/Secret";

/** A password right after it was made. */
export function PasswordOnce({
  role,
  password,
  onClose,
}: {
  role: string;
  password: string;
  onClose: () => void;
}) {
  const { t } = useTranslation();
  return (
    <Modal opened onClose={onClose} title={t("roles.passwordTitle", { role })}>
      <div className="stack">
        <p className="muted">{t("roles.passwordLead")}</p>
        <SecretText text={password} secrets={[password]} label={t("form.password")} />
        <div className="end">
          <Button onClick={onClose} data-autofocus>
            {t("done")}
          </Button>
        </div>
      </div>
    </Modal>
  );
}
