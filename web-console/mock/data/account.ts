import type { ApiToken, Me, Session } from "../../src/api/types";
import { ago, ORGANIZATION, PROJECT } from "./common.ts";

export const me: Me = {
  user: {
    id: "usr_01jdk3x5v9e8rb6w4q2n7m0c1f",
    email: "ada@example.com",
    display_name: "Ada Lovelace",
    created_at: ago(60 * 24 * 9),
  },
  organizations: [
    {
      id: ORGANIZATION,
      name: "Analytical Engines",
      role: "owner",
      plan_id: "free",
      default_project_id: PROJECT,
    },
  ],
  client_address: "198.51.100.23",
};

export const sessions: Session[] = [
  {
    id: "ses_01jdk3x5v9e8rb6w4q2n7m0c1g",
    created_at: ago(300),
    last_seen_at: ago(0),
    expires_at: ago(-60 * 24 * 14),
    client_address: "127.0.0.1",
    user_agent: "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
    current: true,
  },
  {
    id: "ses_01jdk3x5v9e8rb6w4q2n7m0c1h",
    created_at: ago(60 * 24 * 4),
    last_seen_at: ago(60 * 26),
    expires_at: ago(-60 * 24 * 10),
    client_address: "192.0.2.44",
    user_agent:
      "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.1 Mobile/15E148 Safari/604.1",
    current: false,
  },
];

export function token(given: Partial<ApiToken> = {}): ApiToken {
  return {
    id: "tok_01jdk3x5v9e8rb6w4q2n7m0c1j",
    name: "deploy script",
    user_id: "usr_01jdk3x5v9e8rb6w4q2n7m0c1f",
    hint: "luma_pat_4Fh2…",
    read_only: false,
    created_at: ago(60 * 24 * 6),
    expires_at: ago(-60 * 24 * 84),
    last_used_at: ago(47),
    ...given,
  };
}
