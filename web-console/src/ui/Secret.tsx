import { ActionIcon, Button, Tooltip } from "@mantine/core";
import IconCheck from "@tabler/icons-react/dist/esm/icons/IconCheck.mjs";
import IconCopy from "@tabler/icons-react/dist/esm/icons/IconCopy.mjs";
import IconEye from "@tabler/icons-react/dist/esm/icons/IconEye.mjs";
import IconEyeOff from "@tabler/icons-react/dist/esm/icons/IconEyeOff.mjs";
import { useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { copyText } from "#/lib/clipboard";
import { masked } from "#/lib/secrets";
import css from "./Secret.module.css";

/** Milliseconds for which a copy is confirmed. */
const CONFIRMED_MS = 1_800;

export function CopyButton({
  text,
  label,
  inWords = false,
}: {
  text: string;
  label: string;
  /** Whether the button says what it does, where copying is what one came for. */
  inWords?: boolean;
}) {
  const { t } = useTranslation();
  const [result, setResult] = useState<"copied" | "refused" | undefined>();
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  const copy = async () => {
    setResult((await copyText(text)) ? "copied" : "refused");
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setResult(undefined), CONFIRMED_MS);
  };
  const said =
    result === "copied" ? t("copy.copied") : result === "refused" ? t("copy.refused") : label;
  const icon = result === "copied" ? <IconCheck size={16} /> : <IconCopy size={16} />;
  return (
    <>
      {inWords ? (
        <Button
          variant="default"
          size="compact-sm"
          leftSection={icon}
          aria-label={label}
          onClick={() => void copy()}
        >
          {result === "copied" ? t("copy.copied") : t("copy.action")}
        </Button>
      ) : (
        <Tooltip label={said} opened={result === undefined ? undefined : true}>
          <ActionIcon variant="subtle" size="md" aria-label={label} onClick={() => void copy()}>
            {icon}
          </ActionIcon>
        </Tooltip>
      )}
      {inWords && result === "refused" ? (
        <p className={css.refused} role="alert">
          {said}
        </p>
      ) : (
        <span role="status" style={HIDDEN}>
          {result === undefined ? "" : said}
        </span>
      )}
    </>
  );
}

const HIDDEN = {
  position: "absolute",
  width: 1,
  height: 1,
  overflow: "hidden",
  clipPath: "inset(50%)",
} as const;

/**
 * A text that may hold a secret: dots stand for it until the eye is opened, and copying always
 * takes the whole text.
 */
export function SecretText({
  text,
  secrets = [],
  label,
  heading,
}: {
  text: string;
  /** The parts to hide; nothing is hidden without them. */
  secrets?: readonly string[];
  /** What the text is, for those who do not see it. */
  label: string;
  /** Shown above the text, with what can be done beside it; without one, all is in one line. */
  heading?: string;
}) {
  const { t } = useTranslation();
  const [open, setOpen] = useState(false);
  const hides = masked(text, secrets) !== text;
  const shown = open ? text : masked(text, secrets);
  const lines = text.includes("\n") ? css.secretLines : css.secretLine;
  return (
    <div className={heading === undefined ? css.secret : `${css.secret} ${css.secretTall}`}>
      {heading === undefined ? null : <span className={css.secretHeading}>{heading}</span>}
      <section
        className={css.secretText}
        aria-label={label}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reachable by keyboard
        tabIndex={0}
      >
        <pre className={lines}>{shown}</pre>
      </section>
      <div className={css.secretActions}>
        {hides ? (
          <Tooltip label={open ? t("secret.hide") : t("secret.show")}>
            <ActionIcon
              variant="subtle"
              size="md"
              aria-pressed={open}
              aria-label={t("secret.show")}
              onClick={() => setOpen(!open)}
            >
              {open ? <IconEyeOff size={16} /> : <IconEye size={16} />}
            </ActionIcon>
          </Tooltip>
        ) : null}
        <CopyButton text={text} label={t("copy.label", { what: label })} inWords />
      </div>
    </div>
  );
}
