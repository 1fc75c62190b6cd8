// Sets the color scheme before anything is painted. A file of its own, because the content
// security policy admits no inline script.
(() => {
  let chosen = "auto";
  try {
    chosen = localStorage.getItem("luma-color-scheme") ?? "auto";
  } catch {
    // Storage may be forbidden; the system's preference holds.
  }
  const dark =
    chosen === "dark" || (chosen !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.setAttribute("data-mantine-color-scheme", dark ? "dark" : "light");
})();
