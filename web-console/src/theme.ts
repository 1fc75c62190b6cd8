import {
  type CSSVariablesResolver,
  createTheme,
  defaultVariantColorsResolver,
  localStorageColorSchemeManager,
  type VariantColorsResolver,
} from "@mantine/core";

/** Key under which the reader's choice is kept; `public/scheme.js` reads it before the page. */
export const colorSchemeManager = localStorageColorSchemeManager({ key: "luma-color-scheme" });

const NEUTRAL = [
  "#faf9f6",
  "#f3f1ec",
  "#e6e2d9",
  "#cdc7b9",
  "#a8a192",
  "#867f71",
  "#5c564a",
  "#3a342a",
  "#211d16",
  "#14110c",
] as const;

/** Buttons take their colors from the tokens, so that each scheme has its own. */
const variantColorResolver: VariantColorsResolver = (input) => {
  const color = input.color ?? "action";
  const fill = color === "danger" ? "--danger-fill" : "--action";
  const ink = color === "danger" ? "--danger" : "--ink";
  switch (input.variant) {
    case "filled":
      return {
        background: `var(${fill})`,
        hover: `var(${fill}-hover)`,
        color: color === "danger" ? "#fff" : "var(--on-action)",
        border: "1px solid transparent",
      };
    case "default":
      return {
        background: "var(--surface)",
        hover: "var(--hover)",
        color: `var(${ink})`,
        border: "1px solid var(--line-strong)",
      };
    case "subtle":
      return {
        background: "transparent",
        hover: "var(--hover)",
        color: color === "danger" ? "var(--danger)" : "var(--ink-2)",
        border: "1px solid transparent",
      };
    default:
      return defaultVariantColorsResolver(input);
  }
};

/** The library's variables are set in tokens.css; nothing is to be written over them. */
export const cssVariablesResolver: CSSVariablesResolver = () => ({
  variables: {},
  light: {},
  dark: {},
});

export const theme = createTheme({
  primaryColor: "neutral",
  primaryShade: 8,
  colors: { neutral: NEUTRAL },
  variantColorResolver,
  fontFamily: "var(--font-text)",
  fontFamilyMonospace: "var(--font-mono)",
  fontSizes: { xs: "0.75rem", sm: "0.875rem", md: "0.875rem", lg: "1rem", xl: "1.25rem" },
  defaultRadius: "8px",
  cursorType: "pointer",
  components: {
    Modal: { defaultProps: { centered: true, closeButtonProps: { "aria-label": "Close" } } },
    Drawer: { defaultProps: { closeButtonProps: { "aria-label": "Close" } } },
    Select: { defaultProps: { allowDeselect: false, checkIconPosition: "right" } },
    Switch: { defaultProps: { withThumbIndicator: false } },
    Tooltip: { defaultProps: { withArrow: false, openDelay: 250 } },
  },
});
