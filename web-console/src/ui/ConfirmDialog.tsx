import { Button, Modal, TextInput } from "@mantine/core";
import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { Failure } from "./Failure";

/** Asks before something that cannot be taken back; for the gravest, by having its name typed. */
export function ConfirmDialog({
  opened,
  title,
  children,
  action,
  typed,
  busy,
  error,
  onConfirm,
  onClose,
}: {
  opened: boolean;
  title: string;
  children: ReactNode;
  action: string;
  /** What has to be typed, exactly. */
  typed?: string;
  busy: boolean;
  error: unknown;
  onConfirm: () => void;
  onClose: () => void;
}) {
  return (
    <Modal opened={opened} onClose={onClose} title={title} size="md">
      {/* Mounted anew each time: what was typed for one thing never confirms another. */}
      <Body
        typed={typed}
        action={action}
        busy={busy}
        error={error}
        onConfirm={onConfirm}
        onClose={onClose}
      >
        {children}
      </Body>
    </Modal>
  );
}

function Body({
  children,
  action,
  typed,
  busy,
  error,
  onConfirm,
  onClose,
}: {
  children: ReactNode;
  action: string;
  typed: string | undefined;
  busy: boolean;
  error: unknown;
  onConfirm: () => void;
  onClose: () => void;
}) {
  const { t } = useTranslation();
  const [text, setText] = useState("");
  const allowed = typed === undefined || text === typed;
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        if (allowed && !busy) onConfirm();
      }}
    >
      <div className="muted">{children}</div>
      {typed === undefined ? null : (
        <TextInput
          label={t("confirm.type", { name: typed })}
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
          autoComplete="off"
          autoCapitalize="off"
          spellCheck={false}
          data-autofocus
        />
      )}
      {error ? <Failure error={error} /> : null}
      <div className="end">
        <Button
          variant="default"
          onClick={onClose}
          disabled={busy}
          data-autofocus={typed === undefined || undefined}
        >
          {t("cancel")}
        </Button>
        <Button type="submit" color="danger" disabled={!allowed} loading={busy}>
          {action}
        </Button>
      </div>
    </form>
  );
}
