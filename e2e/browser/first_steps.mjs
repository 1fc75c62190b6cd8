// A new user in headless Chromium: sign up, open the mail in the outbox, verify, create a database,
// copy the connection string, run a query, restore what was deleted, look at every page in both color
// schemes, change to a plan with a fee by a test card, and open what the month's invoice is made of.
//
//   CONSOLE_URL      where the console is; billing's clock can be moved there
//   BROWSER_PROFILE  a new folder for the browser's profile
//   SCREENSHOTS      a folder for pictures of each page; none are made without it
import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const console_url = process.env.CONSOLE_URL;
// Evaluated as text: the pages' own policy refuses foreign scripts.
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const person = { name: "Ada Lovelace", email: "ada@example.org", password: "correct-horse-battery" };
const screenshots = process.env.SCREENSHOTS;
/** What goes on behind the pages may take so long on a busy machine. */
const PATIENCE_MS = 240_000;
if (screenshots) mkdirSync(screenshots, { recursive: true });

const browser = await chromium.launchPersistentContext(process.env.BROWSER_PROFILE, {
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  headless: true,
  viewport: { width: 1280, height: 860 },
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
await browser.grantPermissions(["clipboard-read", "clipboard-write"], { origin: console_url });
const page = browser.pages()[0] ?? (await browser.newPage());
page.setDefaultTimeout(30_000);

const complaints = [];
page.on("pageerror", (error) => complaints.push(`error in the page: ${error.message}`));
page.on("console", (message) => {
  // What the server refuses is shown by the page; the browser's own line about it is no defect.
  if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) {
    complaints.push(`console: ${message.text()}`);
  }
});
page.on("response", (response) => {
  if (response.status() >= 500) complaints.push(`${response.status()} from ${response.url()}`);
});

/** Looks at a page as it is: both schemes, both widths, and what axe finds. */
async function look(name) {
  for (const scheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
    // The console follows a moment later; a page that is not the console's follows by itself.
    await page.waitForFunction((wanted) => {
      const shown = document.documentElement.dataset.mantineColorScheme;
      return shown === undefined || shown === wanted;
    }, scheme);
    for (const width of [1280, 390]) {
      await page.setViewportSize({ width, height: 860 });
      const overflow = await page.evaluate(
        () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
      );
      if (overflow > 0) complaints.push(`${name}: scrolls sideways by ${overflow} px at ${width} px`);
      if (screenshots) {
        await page.screenshot({ path: `${screenshots}/${name}-${scheme}-${width}.png` });
      }
    }
    await page.setViewportSize({ width: 1280, height: 860 });
    // Colors that fade from one scheme to the other would be judged half-way. An animation whose
    // element goes away is over as well, though it ends by an error.
    await page.evaluate(() =>
      Promise.allSettled(document.getAnimations().map(({ finished }) => finished)),
    );
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() =>
      globalThis.axe.run(document, {
        runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"],
      }),
    );
    for (const { id, help, nodes } of violations) {
      complaints.push(`${name} (${scheme}): ${id}: ${help}: ${nodes[0].html}`);
    }
  }
  await page.emulateMedia({ colorScheme: "light", reducedMotion: "reduce" });
}

async function sign_up() {
  await page.goto(`${console_url}/sign-up`);
  await page.getByLabel("Your name").fill(person.name);
  await page.getByLabel("E-mail").fill(person.email);
  await page.getByLabel("Password", { exact: true }).fill("short");
  await look("sign-up");
  await page.getByLabel("Password", { exact: true }).fill(person.password);
  await page.getByRole("button", { name: "Create account" }).click();
  await page.waitForURL("**/check-mail**");
  await look("check-mail");
}

async function verify() {
  await page.goto(`${console_url}/outbox`);
  const link = page.locator('a[href*="/verify?token="]').first();
  const deadline = Date.now() + 30_000;
  while ((await link.count()) === 0) {
    assert(Date.now() < deadline, "the mail did not arrive in the outbox");
    await page.waitForTimeout(250);
    await page.reload();
  }
  await look("outbox");
  await page.goto(await link.getAttribute("href"));
  await page.waitForURL((url) => url.pathname.startsWith("/databases"));
  await page.getByRole("heading", { name: "Databases" }).waitFor();
  await look("databases-empty");
}

async function create_database() {
  await page.getByRole("link", { name: /create/i }).first().click();
  await page.waitForURL("**/databases/new");
  await page.getByLabel("Name", { exact: true }).fill("shop");
  await look("create");
  await page.getByRole("button", { name: /create/i }).click();
  const dialog = page.getByRole("dialog");
  await dialog.waitFor();
  await dialog.getByRole("region").first().waitFor();
  await look("connect");
  await dialog.getByRole("button", { name: /copy/i }).first().click();
  await page.waitForTimeout(100);
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  assert.match(copied, /^postgresql:\/\/owner\.db_[0-9a-z]{26}:[^@]+@/);
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "hidden" });
  return copied;
}

/** Runs SQL in the editor, in place of what stood there. */
async function run_sql(sql) {
  await page.locator(".cm-content").click();
  await page.keyboard.press("ControlOrMeta+a");
  await page.keyboard.type(sql);
  await page.keyboard.press("ControlOrMeta+Enter");
}

async function query() {
  await page.getByRole("link", { name: /sql/i }).first().click();
  await run_sql("select 40 + 2 as answer, 'shown' as word");
  await page.getByText("42", { exact: true }).first().waitFor();
  await look("sql");
  await run_sql("select * from nowhere");
  await page.getByText(/relation "nowhere" does not exist/).first().waitFor();
  await look("sql-error");
}

/** Rows that were deleted by mistake are there again in another database, of the moment before. */
async function restore(copied) {
  const database = copied.match(/db_[0-9a-z]{26}/)[0];
  await page.goto(`${console_url}/databases/${database}/sql`);
  await run_sql(
    "create table kept as select 1000 + id as id from generate_series(1, 500) as id; " +
      "select 'of ' || count(*) as rows from kept",
  );
  await page.getByText("of 500", { exact: true }).first().waitFor();
  const window = `/v1/databases/${database}/restore-window`;
  await until("a first backup", async () => (await api(window)).earliest);
  // The form takes whole seconds.
  await page.waitForTimeout(1_100);
  const before = new Date();
  await page.waitForTimeout(1_100);
  await run_sql("delete from kept returning 'gone ' || id as deleted");
  await page.getByRole("dialog").getByRole("button", { name: "Run it" }).click();
  await page.getByText("gone 1001", { exact: true }).first().waitFor();
  await until("the archive to hold what followed", async () => {
    const { latest } = await api(window);
    return latest && new Date(latest) > before;
  });
  await page.goto(`${console_url}/databases/${database}/backups`);
  await page.getByRole("button", { name: "Restore", exact: true }).first().click();
  const dialog = page.getByRole("dialog");
  const zone = before.getTimezoneOffset() * 60_000;
  const local = new Date(before.getTime() - zone).toISOString().slice(0, 19);
  await dialog.getByLabel("A moment").fill(local);
  await look("restore");
  await dialog.getByRole("button", { name: "Restore into a new database" }).click();
  await page.waitForURL("**/creation**");
  await dialog.getByRole("region").first().waitFor({ timeout: PATIENCE_MS });
  const restored = page.url().match(/db_[0-9a-z]{26}/)[0];
  assert.notEqual(restored, database);
  await page.goto(`${console_url}/databases/${restored}/sql`);
  await run_sql("select 'again ' || count(*) as rows from kept");
  await page.getByText("again 500", { exact: true }).first().waitFor();
}

async function other_pages(copied) {
  const database = copied.match(/db_[0-9a-z]{26}/)[0];
  for (const [name, path] of [
    ["overview", `/databases/${database}`],
    ["roles", `/databases/${database}/roles`],
    ["backups", `/databases/${database}/backups`],
    ["imports", `/databases/${database}/imports`],
    ["settings", `/databases/${database}/settings`],
    ["databases", "/databases"],
    ["activity", "/activity"],
    ["usage", "/usage"],
    ["billing", "/billing"],
    ["plans", "/billing/plan"],
    ["draft", "/billing/draft"],
    ["account", "/account"],
    ["tokens", "/account/tokens"],
  ]) {
    await page.goto(`${console_url}${path}`);
    await page.getByRole("heading").first().waitFor();
    await page.waitForLoadState("networkidle").catch(() => {});
    await look(name);
  }
}

/** To a plan with a fee, by a test card: a server of this machine stands in for Stripe. */
async function upgrade() {
  await page.goto(`${console_url}/billing/plan`);
  await page.getByRole("button", { name: "Choose Pro: Starter" }).click();
  await page.getByRole("button", { name: "Change to Pro: Starter" }).click();
  await page.getByText(/begins as soon as there is a way to pay/).waitFor();
  await look("plan-waits");
  await page.getByRole("button", { name: "Add a card" }).click();
  await page.waitForURL("**/pay/**");
  await page.getByLabel("Card number").fill("4242 4242 4242 4242");
  await page.getByRole("button", { name: "Save card" }).click();
  await page.waitForURL("**/billing?card=saved");
  await page.getByText(/Visa •••• 4242/).waitFor();
  await page.getByText(/begins as soon as there is a way to pay/).waitFor({ state: "hidden" });
  await page.getByText("Pro: Starter", { exact: true }).first().waitFor();
  const invoice = page.getByRole("row").filter({ hasText: /INV-/ });
  const deadline = Date.now() + 30_000;
  while (!(await invoice.first().textContent()).includes("Paid")) {
    assert(Date.now() < deadline, "the invoice of the plan was not paid by the card");
    await page.waitForTimeout(250);
    await page.reload();
    await invoice.first().waitFor();
  }
  await look("billing-card");
}

/** What the API answers to the console's own pages. */
function api(path, body) {
  return page.evaluate(
    async ([path, body]) => {
      const init = {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      };
      const response = await fetch(path, body === undefined ? {} : init);
      if (!response.ok) throw new Error(`${response.status} from ${path}`);
      return response.json();
    },
    [path, body],
  );
}

/** Asks again until the answer is yes; whoever counts does so once a minute. */
async function until(what, ask) {
  const deadline = Date.now() + PATIENCE_MS;
  while (!(await ask())) {
    assert(Date.now() < deadline, `in vain: ${what}`);
    await page.waitForTimeout(500);
  }
}

/** The month ends; its invoice's line opens into hours, and an hour into what the node said. */
async function invoice_opens(copied) {
  const usage = `/v1/databases/${copied.match(/db_[0-9a-z]{26}/)[0]}/usage?granularity=hour`;
  await until("usage to be counted", async () => (await api(usage)).totals.requests > 0);
  const { now } = await api("/v1/billing-clock");
  // Usage of an ended month is not waited for longer than half a day.
  const after = Date.UTC(new Date(now).getUTCFullYear(), new Date(now).getUTCMonth() + 1, 1, 13);
  await api("/v1/billing-clock", { seconds: Math.ceil((after - Date.parse(now)) / 1000) });
  const row = page.getByRole("row").filter({ hasText: "Month of" });
  await until("the month's invoice to be paid", async () => {
    await page.goto(`${console_url}/billing`);
    await page.getByRole("row").filter({ hasText: /INV-/ }).first().waitFor();
    return (await row.count()) > 0 && (await row.first().textContent()).includes("Paid");
  });
  await row.getByRole("link").click();
  await page.waitForURL("**/billing/invoices/**");
  // Each plan has a line of its own. An hour that ended before the second began is the first's alone.
  const lines = page.getByRole("button", { name: "Requests", exact: true });
  await lines.first().waitFor();
  for (const line of await lines.all()) await line.click();
  await page.getByRole("button", { name: "shop", exact: true }).last().click();
  const hours = page.getByRole("region", { name: "Hours" });
  await hours.getByRole("button").first().click();
  const samples = hours.getByRole("table", { name: "What the database’s node said" });
  await samples.locator("tbody tr").first().waitFor();
  await look("invoice");
  const pdf = page.waitForEvent("download");
  await page.getByRole("link", { name: "Download PDF" }).click();
  assert.match(readFileSync(await (await pdf).path(), "latin1"), /^%PDF-/);
}

async function log_out_and_in() {
  await page.context().clearCookies();
  await page.goto(`${console_url}/databases`);
  await page.waitForURL("**/log-in**");
  await look("log-in");
  await page.getByLabel("E-mail").fill(person.email);
  await page.getByLabel("Password", { exact: true }).fill(person.password);
  await page.getByRole("button", { name: /log in/i }).click();
  await page.waitForURL((url) => url.pathname.startsWith("/databases"));
  await page.getByText("shop").first().waitFor();
}

try {
  await sign_up();
  await verify();
  const copied = await create_database();
  await query();
  await restore(copied);
  await other_pages(copied);
  await upgrade();
  await invoice_opens(copied);
  await log_out_and_in();
  assert.deepEqual([...new Set(complaints)], []);
  process.stdout.write(`copied: ${copied}\n`);
} catch (error) {
  if (screenshots) await page.screenshot({ path: `${screenshots}/failed.png` });
  const shown = await page.locator("[role=dialog], [role=alert]").allInnerTexts();
  const said = [`at ${page.url()}`, ...shown, ...new Set(complaints)];
  process.stderr.write(`${said.join("\n")}\n`);
  throw error;
} finally {
  await browser.close();
}
