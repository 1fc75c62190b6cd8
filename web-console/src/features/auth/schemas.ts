import { zodResolver } from "@hookform/resolvers/zod";
import type { TFunction } from "i18next";
import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { z } from "zod/mini";
import { PASSWORD_MAX, PASSWORD_MIN } from "./password";

function password(t: TFunction) {
  return z
    .string()
    .check(
      z.minLength(PASSWORD_MIN, t("form.passwordShort")),
      z.maxLength(PASSWORD_MAX, t("form.passwordLong")),
    );
}

export function useSignUpResolver() {
  const { t } = useTranslation();
  return useMemo(
    () =>
      zodResolver(
        z.object({
          display_name: z.string().check(z.trim(), z.minLength(1, t("form.required"))),
          email: z.string().check(z.trim(), z.email(t("form.emailInvalid"))),
          password: password(t),
        }),
      ),
    [t],
  );
}

export function useResetResolver() {
  const { t } = useTranslation();
  return useMemo(() => zodResolver(z.object({ password: password(t) })), [t]);
}
