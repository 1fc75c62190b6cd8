import { Button, Modal, TextInput } from "@mantine/core";
import { useForm } from "react-hook-form";
import { useTranslation } from "react-i18next";
import { asApiError } from "#/api/problem";
import { Failure } from "./Failure";

/** Asks for a name. */
export default function NameDialog({
  title,
  lead,
  action,
  label,
  validate,
  busy,
  error,
  onSubmit,
  onClose,
}: {
  title: string;
  lead: string;
  action: string;
  label: string;
  /** `true`, or what is wrong with a name. */
  validate: (name: string) => true | string;
  busy: boolean;
  error: unknown;
  onSubmit: (name: string) => void;
  onClose: () => void;
}) {
  const { t } = useTranslation();
  const form = useForm({ defaultValues: { name: "" } });
  const refused = error ? asApiError(error).fields.get("name") : undefined;
  return (
    <Modal opened onClose={onClose} title={title}>
      <form
        className="stack"
        noValidate
        onSubmit={form.handleSubmit(({ name }) => onSubmit(name.trim()))}
      >
        <p className="muted">{lead}</p>
        {error && refused === undefined ? <Failure error={error} /> : null}
        <TextInput
          label={label}
          autoComplete="off"
          autoCapitalize="off"
          spellCheck={false}
          maxLength={63}
          data-autofocus
          {...form.register("name", { validate })}
          error={form.formState.errors.name?.message ?? refused}
        />
        <div className="end">
          <Button variant="default" onClick={onClose} disabled={busy}>
            {t("cancel")}
          </Button>
          <Button type="submit" loading={busy}>
            {action}
          </Button>
        </div>
      </form>
    </Modal>
  );
}
