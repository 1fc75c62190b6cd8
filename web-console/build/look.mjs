// Opens every page in a headless Chromium, by day and by night, on a desk and on a phone: takes a
// picture of each, and fails on violations of WCAG 2.2 AA, on sideways scrolling and on errors.
//
//   MOCK_API=1 npm run preview -- --port 4173 &
//   npm run look -- http://127.0.0.1:4173 pictures/
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [base = "http://127.0.0.1:4173", folder = "pictures", only = ""] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const DATABASE = "db_01jdk3x5v9e8rb6w4q2n7m0c1c";
const here = `/databases/${DATABASE}`;

/** Name of the picture, path, and what is done before it is taken. */
const PAGES = [
  ["log-in", "/log-in"],
  [
    "sign-up",
    "/sign-up",
    async (page) => page.getByRole("button", { name: "Create account" }).click(),
  ],
  ["check-mail", "/check-mail?email=ada%40example.com"],
  ["verify-used", "/verify"],
  ["forgot", "/forgot-password"],
  ["reset", "/reset?token=x"],
  ["databases", "/databases"],
  ["create", "/databases/new"],
  ["overview", here],
  ["connect", `${here}?connect=true`, async (page) => page.getByText("Django").click()],
  [
    "sql",
    `${here}/sql`,
    (page) =>
      runSql(
        page,
        "select id, customer, city, total\nfrom orders\nwhere total > 100 -- the large ones\norder by placed_at desc;",
      ),
  ],
  ["sql-error", `${here}/sql`, (page) => runSql(page, "select *\nform orders;")],
  ["sql-ask", `${here}/sql`, (page) => runSql(page, "delete from orders;")],
  ["roles", `${here}/roles`],
  [
    "role-password",
    `${here}/roles`,
    async (page) => {
      await page.getByRole("button", { name: "Create role" }).click();
      await page
        .getByRole("textbox", { name: "Name" })
        .fill(`reporting_${Date.now().toString(36)}`);
      await page.getByRole("dialog").getByRole("button", { name: "Create role" }).click();
      await page.getByRole("dialog", { name: /Password of/ }).waitFor();
    },
  ],
  ["backups", `${here}/backups`],
  [
    "restore",
    `${here}/backups`,
    async (page) => {
      await page.getByRole("button", { name: "Restore", exact: true }).first().click();
      await page.getByRole("dialog").waitFor();
    },
  ],
  [
    "restore-in-place",
    `${here}/backups`,
    async (page) => {
      await page.getByRole("button", { name: "Restore", exact: true }).first().click();
      await page.getByText("In place", { exact: true }).click();
      await page.getByRole("textbox", { name: /Type/ }).fill("shop");
    },
  ],
  [
    "kept",
    `${here}/backups`,
    async (page) => {
      await page.getByRole("button", { name: "Restore", exact: true }).first().click();
      await page.getByText("In place", { exact: true }).click();
      await page.getByRole("textbox", { name: /Type/ }).fill("shop");
      await page.getByRole("button", { name: "Restore in place" }).click();
      // What an earlier round kept is there already, and goes as the page does.
      await page.getByRole("heading", { name: /^Restoring/ }).waitFor();
      await page.getByText("Kept from before").waitFor({ timeout: 30_000 });
      await page.getByText("Kept from before").scrollIntoViewIfNeeded();
    },
  ],
  [
    "go-back",
    `${here}/backups`,
    async (page) =>
      page
        .getByRole("button", { name: /Go back to/ })
        .first()
        .click(),
  ],
  [
    "restoring",
    `${here}/backups`,
    async (page) => {
      await page.getByRole("button", { name: "Restore", exact: true }).first().click();
      await page.getByRole("button", { name: "Restore into a new database" }).click();
      await page.getByRole("progressbar").waitFor();
    },
  ],
  ["imports", `${here}/imports`],
  [
    "import",
    "/databases",
    // The other database has an import under way.
    async (page) => {
      await page.getByRole("link", { name: /analytics-staging/ }).click();
      await page.getByRole("link", { name: "Import", exact: true }).click();
      await page.getByRole("button", { name: "Import", exact: true }).click();
      await page.getByRole("dialog").waitFor();
    },
  ],
  ["settings", `${here}/settings`],
  [
    "delete",
    `${here}/settings`,
    async (page) => page.getByRole("button", { name: "Delete database" }).click(),
  ],
  ["activity", "/activity"],
  ["usage", "/usage"],
  ["billing", "/billing"],
  ["plans", "/billing/plan"],
  ["draft-invoice", "/billing/draft"],
  [
    "plan-change",
    "/billing/plan",
    async (page) => {
      await page.getByRole("button", { name: "Choose Pro: Starter" }).click();
      await page.getByRole("dialog").getByText("Difference").waitFor();
    },
  ],
  [
    "invoice",
    "/billing/invoices/inv_01jdk3x5v9e8rb6w4q2n7m0c5a",
    async (page) => {
      await page.getByRole("button", { name: "Storage" }).click();
      await page.getByRole("button", { name: "shop" }).click();
    },
  ],
  ["account", "/account"],
  ["tokens", "/account/tokens"],
  [
    "token-create",
    "/account/tokens",
    async (page) => page.getByRole("button", { name: "Create token" }).click(),
  ],
  [
    "palette",
    "/databases",
    async (page) => {
      await page.keyboard.press("Control+k");
      await page.getByRole("combobox").fill("s");
    },
  ],
  ["lost", "/nowhere"],
];

async function runSql(page, sql) {
  await page.locator(".cm-content").click();
  await page.keyboard.press("Control+a");
  await page.keyboard.insertText(sql);
  await page.keyboard.press("Control+Enter");
}

const profile = mkdtempSync(join(tmpdir(), "console-look-"));
mkdirSync(folder, { recursive: true });
const context = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  headless: true,
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
});
let faults = 0;

const fault = (text) => {
  faults += 1;
  process.stdout.write(`  ${text}\n`);
};
for (const scheme of ["light", "dark"]) {
  for (const width of [1280, 390]) {
    const page = await context.newPage();
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
    await page.setViewportSize({ width, height: width === 390 ? 844 : 860 });
    page.setDefaultTimeout(5_000);
    let name = "";
    page.on("pageerror", (error) => fault(`${name}: ${error.message}`));
    page.on("console", (message) => {
      if (message.type() === "error" && !/status of (401|503)/.test(message.text()))
        fault(`${name}: ${message.text()}`);
    });
    for (const [title, path, act] of PAGES) {
      if (only !== "" && !only.split(",").includes(title)) continue;
      name = `${title}-${width}-${scheme}`;
      await page.goto(base + path);
      await page.evaluate(() => {
        for (const key of Object.keys(localStorage))
          if (key.startsWith("luma-sql")) localStorage.removeItem(key);
      });
      try {
        await page.waitForLoadState("networkidle", { timeout: 3000 });
      } catch {
        // Pages that look again and again are never idle.
      }
      try {
        await act?.(page);
      } catch (error) {
        fault(`${name}: ${error.message.split("\n")[0]}`);
      }
      await page.waitForTimeout(450);
      await page.screenshot({ path: join(folder, `${name}.png`) });
      const sideways = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      if (sideways > 0) fault(`${name}: scrolls sideways by ${sideways} px`);
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() =>
        globalThis.axe.run(document, {
          runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
        }),
      );
      for (const { id, nodes } of violations) {
        fault(
          `${name}: ${id}: ${nodes
            .slice(0, 2)
            .map(
              ({ target, failureSummary }) =>
                `${target} ${failureSummary?.split("\n")[1]?.slice(0, 170)}`,
            )
            .join(" | ")}`,
        );
      }
    }
    await page.close();
  }
}
await context.close();
rmSync(profile, { recursive: true, force: true });
process.stdout.write(faults === 0 ? "Every page is as it should be.\n" : `${faults} faults.\n`);
process.exitCode = faults === 0 ? 0 : 1;
