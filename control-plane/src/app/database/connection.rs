//! Connection strings in every form that clients take. Pure: values in, text out.
//!
//! Names and generated passwords hold no character that any of the forms would have to escape
//! ([`PgName`], base62), and hosts hold none either.

use crate::app::authorize::authorize;
use crate::app::role::password_of;
use crate::app::{Action, AppError, Caller, Platform};
use crate::edge_door::edge_authority;
use crate::store::database::DatabaseRow;
use crate::store::{logical_database, role};
use lumadb_contract::id::DatabaseId;
use lumadb_contract::name::PgName;
use lumadb_contract::secret::Secret;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Stands where a password belongs that the caller may not see.
const PLACEHOLDER: &str = "PASSWORD";

/// Everything a client needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Connection {
    pub host: String,
    pub port: u16,
    /// User name as clients send it.
    pub user: String,
    pub logical_database: String,
    /// Whether the strings hold the password; else `PASSWORD` stands in its place.
    pub password_included: bool,
    /// The authority that signed the server's certificate, PEM; null when clients trust it anyway.
    #[schema(required = true)]
    pub ca_certificate_pem: Option<String>,
    pub strings: Vec<ConnectionString>,
}

/// The same connection as one kind of client takes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConnectionString {
    pub id: ConnectionForm,
    /// Name for people.
    pub label: String,
    /// Of the text, for highlighting.
    pub language: String,
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionForm {
    Uri,
    Psql,
    KeywordValue,
    Jdbc,
    Sqlalchemy,
    Prisma,
    Django,
    Rails,
    Dotenv,
}

/// Which login and which logical database.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ConnectionQuery {
    /// Name of a role; the owner if left out.
    #[param(max_length = 63)]
    pub role: Option<String>,
    /// Name of a logical database; the oldest if left out.
    #[param(max_length = 63)]
    pub logical_database: Option<String>,
}

/// Where a connection goes.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    pub id: DatabaseId,
    /// Of the region.
    pub host: &'a str,
    pub port: u16,
    /// Whether `db-….{host}` resolves.
    pub wildcard_dns: bool,
    /// See [`RegionSetup`](crate::store::setup::RegionSetup).
    pub edge_authority_pem: Option<&'a str>,
    pub role: &'a PgName,
    pub logical_database: &'a PgName,
    pub password: Option<&'a str>,
}

/// Connection strings; with the password for callers who may connect.
pub async fn connection_get(
    platform: &Platform,
    caller: &Caller,
    id: DatabaseId,
    query: ConnectionQuery,
) -> Result<Connection, AppError> {
    let member = authorize(platform, caller, id, Action::DatabaseRead).await?;
    let mut tx = platform.store.tenant(member.organization).await?;
    let row = super::find(&mut tx, id, false).await?;
    let roles = role::list(&mut tx, id).await?;
    let logical = logical_database::list(&mut tx, id).await?;
    tx.commit().await?;
    let role = roles
        .into_iter()
        .find(|role| match &query.role {
            Some(name) => role.name.as_str() == name,
            None => role.is_owner,
        })
        .ok_or_else(|| AppError::field("role", "the database has no such role"))?;
    let logical = logical
        .into_iter()
        .find(|logical| match &query.logical_database {
            Some(name) => logical.name.as_str() == name,
            None => true,
        })
        .ok_or_else(|| {
            AppError::field(
                "logical_database",
                "the database has no such logical database",
            )
        })?;
    let password = if member.may(Action::DatabaseConnect) {
        Some(password_of(platform, &role)?)
    } else {
        None
    };
    let password = password.as_ref().map(Secret::expose);
    Ok(Target::of(&row, &role.name, &logical.name, password)
        .connection(platform.settings.ca_certificate_pem.as_deref()))
}

impl<'a> Target<'a> {
    pub(super) fn of(
        row: &'a DatabaseRow,
        role: &'a PgName,
        logical_database: &'a PgName,
        password: Option<&'a str>,
    ) -> Self {
        Self {
            id: row.id,
            host: &row.host,
            // The schema admits ports alone.
            port: u16::try_from(row.port).unwrap_or_default(),
            wildcard_dns: row.wildcard_dns,
            edge_authority_pem: row.edge_authority_pem.as_deref(),
            role,
            logical_database,
            password,
        }
    }

    /// Routed by host name where that resolves, else by user name.
    fn address(&self) -> (String, String) {
        if self.wildcard_dns {
            let host = format!("{}.{}", self.id.host_label(), self.host);
            (host, self.role.to_string())
        } else {
            (self.host.to_owned(), format!("{}.{}", self.role, self.id))
        }
    }

    /// `own_authority_pem` is what clients know servers by that show certificates of this data folder's.
    pub fn connection(&self, own_authority_pem: Option<&str>) -> Connection {
        let (host, user) = self.address();
        let authority = edge_authority(self.edge_authority_pem, own_authority_pem);
        let forms = Forms {
            host: &host,
            port: self.port,
            user: &user,
            password: self.password.unwrap_or(PLACEHOLDER),
            name: self.logical_database.as_str(),
        };
        Connection {
            strings: forms.all(),
            port: self.port,
            logical_database: self.logical_database.to_string(),
            password_included: self.password.is_some(),
            ca_certificate_pem: authority.map(str::to_owned),
            host,
            user,
        }
    }
}

struct Forms<'a> {
    host: &'a str,
    port: u16,
    user: &'a str,
    password: &'a str,
    name: &'a str,
}

impl Forms<'_> {
    fn all(&self) -> Vec<ConnectionString> {
        use ConnectionForm::{
            Django, Dotenv, Jdbc, KeywordValue, Prisma, Psql, Rails, Sqlalchemy, Uri,
        };
        let uri = self.uri("postgresql");
        [
            (Uri, "Connection URI", "text", uri.clone()),
            (Psql, "psql", "shell", format!("psql \"{uri}\"")),
            (
                KeywordValue,
                "Keyword/value",
                "text",
                self.keyword_value(),
            ),
            (Jdbc, "JDBC", "text", self.jdbc()),
            (
                Sqlalchemy,
                "SQLAlchemy",
                "python",
                format!(
                    "from sqlalchemy import create_engine\n\nengine = create_engine(\"{}\")\n",
                    self.uri("postgresql+psycopg")
                ),
            ),
            (
                Prisma,
                "Prisma",
                "dotenv",
                format!("# .env, read by schema.prisma as env(\"DATABASE_URL\")\nDATABASE_URL=\"{uri}\"\n"),
            ),
            (Django, "Django", "python", self.django()),
            (Rails, "Rails", "yaml", self.rails()),
            (Dotenv, ".env", "dotenv", self.dotenv(&uri)),
        ]
        .into_iter()
        .map(|(id, label, language, text)| ConnectionString {
            id,
            label: label.to_owned(),
            language: language.to_owned(),
            text,
        })
        .collect()
    }

    fn uri(&self, scheme: &str) -> String {
        let Self {
            host,
            port,
            user,
            password,
            name,
        } = self;
        format!("{scheme}://{user}:{password}@{host}:{port}/{name}?sslmode=require")
    }

    fn keyword_value(&self) -> String {
        let Self {
            host,
            port,
            user,
            password,
            name,
        } = self;
        format!(
            "host={host} port={port} dbname={name} user={user} password={password} sslmode=require"
        )
    }

    fn jdbc(&self) -> String {
        let Self {
            host,
            port,
            user,
            password,
            name,
        } = self;
        format!(
            "jdbc:postgresql://{host}:{port}/{name}?user={user}&password={password}&sslmode=require"
        )
    }

    fn django(&self) -> String {
        let Self {
            host,
            port,
            user,
            password,
            name,
        } = self;
        format!(
            r#"DATABASES = {{
    "default": {{
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "{name}",
        "USER": "{user}",
        "PASSWORD": "{password}",
        "HOST": "{host}",
        "PORT": "{port}",
        "OPTIONS": {{"sslmode": "require"}},
    }}
}}
"#
        )
    }

    fn rails(&self) -> String {
        let Self {
            host,
            port,
            user,
            password,
            name,
        } = self;
        format!(
            "production:\n  adapter: postgresql\n  host: {host}\n  port: {port}\n  \
             database: {name}\n  username: {user}\n  password: {password}\n  sslmode: require\n"
        )
    }

    fn dotenv(&self, uri: &str) -> String {
        let Self {
            host,
            port,
            user,
            password,
            name,
        } = self;
        format!(
            "DATABASE_URL=\"{uri}\"\nPGHOST={host}\nPGPORT={port}\nPGDATABASE={name}\n\
             PGUSER={user}\nPGPASSWORD={password}\nPGSSLMODE=require\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;
    use uuid::Uuid;

    fn made<T>(wildcard_dns: bool, password: Option<&str>, give: impl Fn(Target<'_>) -> T) -> T {
        let (role, name) = (
            "owner".parse().expect("a name"),
            "main".parse().expect("a name"),
        );
        give(Target {
            id: DatabaseId::from_uuid(Uuid::from_u128(0x0193_5d3e_8f00_7abc_8def_0123_4567_89ab)),
            host: "eu.example.com",
            port: 5432,
            wildcard_dns,
            edge_authority_pem: None,
            role: &role,
            logical_database: &name,
            password,
        })
    }

    #[test]
    fn clients_are_told_of_the_authority_of_the_edges_that_they_come_to() {
        let shown = |theirs, own| {
            made(false, None, |target| {
                let target = Target {
                    edge_authority_pem: theirs,
                    ..target
                };
                target.connection(own).ca_certificate_pem
            })
        };
        assert_eq!(shown(None, Some("own")), Some("own".into()));
        assert_eq!(shown(None, None), None);
        assert_eq!(shown(Some("theirs"), Some("own")), Some("theirs".into()));
        assert_eq!(shown(Some(""), Some("own")), None, "it is a public one");
    }

    fn golden(wildcard_dns: bool, password: Option<&str>) -> String {
        let connection = made(wildcard_dns, password, |target| target.connection(None));
        let mut text = format!(
            "host {}, port {}, user {}, password included: {}\n",
            connection.host, connection.port, connection.user, connection.password_included
        );
        for string in connection.strings {
            let _ = write!(
                text,
                "\n== {:?} ({}, {})\n{}",
                string.id, string.label, string.language, string.text
            );
            if !string.text.ends_with('\n') {
                text.push('\n');
            }
        }
        text
    }

    /// `LUMADB_GOLDEN=write` writes the file anew.
    fn compare(file: &str, text: &str) {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/golden")
            .join(file);
        if std::env::var_os("LUMADB_GOLDEN").is_some_and(|value| value == "write") {
            std::fs::write(&path, text).expect("written");
        }
        assert_eq!(
            std::fs::read_to_string(&path).unwrap_or_default(),
            text,
            "{file}"
        );
    }

    #[test]
    fn the_strings_are_those_that_clients_take() {
        compare(
            "connection_by_user.txt",
            &golden(false, Some("s3cretS3cret")),
        );
        compare(
            "connection_by_host.txt",
            &golden(true, Some("s3cretS3cret")),
        );
    }

    #[test]
    fn no_form_holds_a_password_that_the_caller_may_not_see() {
        assert!(golden(false, None).contains("owner.db_"));
        assert!(!golden(false, None).contains("s3cret"));
    }
}
