import { account } from "./account";
import { activity } from "./activity";
import { auth } from "./auth";
import { backups } from "./backups";
import { billing } from "./billing";
import { common } from "./common";
import { databases } from "./databases";
import { imports } from "./imports";
import { invoices } from "./invoices";
import { overview } from "./overview";
import { plans } from "./plans";
import { roles } from "./roles";
import { settings } from "./settings";
import { shell } from "./shell";
import { sql } from "./sql";
import { usage } from "./usage";

/** Every text of the console; a file holds those of one subject. */
export const en = {
  ...common,
  ...shell,
  ...auth,
  ...databases,
  ...overview,
  ...imports,
  ...backups,
  ...roles,
  ...sql,
  ...settings,
  ...activity,
  ...usage,
  ...billing,
  ...plans,
  ...invoices,
  ...account,
} as const;
