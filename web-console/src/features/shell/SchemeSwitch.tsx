import { SegmentedControl, useMantineColorScheme, VisuallyHidden } from "@mantine/core";
import IconDeviceDesktop from "@tabler/icons-react/dist/esm/icons/IconDeviceDesktop.mjs";
import IconMoon from "@tabler/icons-react/dist/esm/icons/IconMoon.mjs";
import IconSun from "@tabler/icons-react/dist/esm/icons/IconSun.mjs";
import { useTranslation } from "react-i18next";

const CHOICES = [
  { value: "light", Icon: IconSun },
  { value: "dark", Icon: IconMoon },
  { value: "auto", Icon: IconDeviceDesktop },
] as const;

/** Day, night, or as the system has it. */
export function SchemeSwitch() {
  const { t } = useTranslation();
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  return (
    <SegmentedControl
      fullWidth
      size="xs"
      aria-label={t("scheme.label")}
      value={colorScheme}
      onChange={(value) => setColorScheme(value as (typeof CHOICES)[number]["value"])}
      data={CHOICES.map(({ value, Icon }) => ({
        value,
        label: (
          <span
            title={t(`scheme.${value}`)}
            style={{ display: "grid", placeItems: "center", height: 18 }}
          >
            <Icon size={15} stroke={1.8} />
            <VisuallyHidden>{t(`scheme.${value}`)}</VisuallyHidden>
          </span>
        ),
      }))}
    />
  );
}
