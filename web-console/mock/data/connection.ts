import type { Connection } from "../../src/api/types";
import { DATABASE, PASSWORD } from "./common.ts";

export function connection(roleName: string, logical: string): Connection {
  const user = `${roleName}.${DATABASE}`;
  const uri = `postgresql://${user}:${PASSWORD}@localhost:6432/${logical}?sslmode=require`;
  const form = (
    id: Connection["strings"][number]["id"],
    label: string,
    language: string,
    text: string,
  ) => ({
    id,
    label,
    language,
    text,
  });
  return {
    host: "localhost",
    port: 6432,
    user,
    logical_database: logical,
    password_included: true,
    ca_certificate_pem: "-----BEGIN CERTIFICATE-----\nMIIB…\n-----END CERTIFICATE-----\n",
    strings: [
      form("uri", "URI", "text", uri),
      form("psql", "psql", "shell", `psql "${uri}"`),
      form(
        "keyword_value",
        "Keyword/value",
        "text",
        `host=localhost port=6432 user=${user} password=${PASSWORD} dbname=${logical} sslmode=require`,
      ),
      form(
        "jdbc",
        "JDBC",
        "java",
        `jdbc:postgresql://localhost:6432/${logical}?user=${user}&password=${PASSWORD}&sslmode=require`,
      ),
      form(
        "sqlalchemy",
        "SQLAlchemy",
        "python",
        `from sqlalchemy import create_engine\n\nengine = create_engine(\n    "${uri.replace("postgresql", "postgresql+psycopg")}",\n)`,
      ),
      form(
        "django",
        "Django",
        "python",
        `DATABASES = {\n    "default": {\n        "ENGINE": "django.db.backends.postgresql",\n        "HOST": "localhost",\n        "PORT": 6432,\n        "USER": "${user}",\n        "PASSWORD": "${PASSWORD}",\n        "NAME": "${logical}",\n        "OPTIONS": {"sslmode": "require"},\n    },\n}`,
      ),
      form("prisma", "Prisma", "dotenv", `DATABASE_URL="${uri}"`),
      form("rails", "Rails", "yaml", `production:\n  url: "${uri}"`),
      form("dotenv", ".env", "dotenv", `DATABASE_URL="${uri}"`),
    ],
  };
}
