import { Button } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { asApiError } from "#/api/problem";
import css from "./Failure.module.css";

/** Says what failed and, where trying again makes sense, offers it. */
export function Failure({
  error,
  message,
  title,
  onRetry,
  isRetrying = false,
}: {
  error?: unknown;
  /** In place of what the error says. */
  message?: string;
  title?: string;
  onRetry?: () => void;
  isRetrying?: boolean;
}) {
  const { t } = useTranslation();
  return (
    <div className={css.failure} role="alert">
      <div>
        <strong>{title ?? t("failure.title")}</strong>
        {message ?? asApiError(error).message}
      </div>
      {onRetry === undefined ? null : (
        <Button variant="default" size="xs" loading={isRetrying} onClick={onRetry}>
          {t("failure.retry")}
        </Button>
      )}
    </div>
  );
}
