//! Checked names of things inside a tenant's PostgreSQL.

use serde::{Deserialize, Serialize};

/// Longest identifier of PostgreSQL, in bytes (`NAMEDATALEN` − 1).
pub const IDENTIFIER_BYTES_MAX: usize = 63;

/// Superuser of every engine: the node's own login, never a tenant's.
pub const PLATFORM_ROLE: &str = "lumadb_admin";

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    #[error("a name must not be empty")]
    Empty,
    #[error("a name has at most {IDENTIFIER_BYTES_MAX} bytes, this one has {bytes}")]
    TooLong { bytes: usize },
    #[error(
        "a name starts with a lower-case letter or `_` and goes on with lower-case letters, digits, `_` and `-`"
    )]
    Characters,
    #[error("`{0}` is reserved")]
    Reserved(String),
}

/// Name of a role or of a logical database: `[a-z_][a-z0-9_-]{0,62}`, not reserved.
///
/// Narrower than PostgreSQL's rule on purpose: such a name needs no quoting in a connection string
/// and cannot hold the dot that separates role and database in `role.db_…`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(transparent))]
#[serde(transparent)]
pub struct PgName(String);

impl PgName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for PgName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let first = text.bytes().next().ok_or(InvalidName::Empty)?;
        if text.len() > IDENTIFIER_BYTES_MAX {
            return Err(InvalidName::TooLong { bytes: text.len() });
        }
        let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
        if !matches!(first, b'a'..=b'z' | b'_') || !text.bytes().all(allowed) {
            return Err(InvalidName::Characters);
        }
        let reserved = text.starts_with("pg_")
            || text.starts_with("lumadb_")
            || matches!(
                text,
                "postgres" | "template0" | "template1" | "public" | "none" | "all" | "user"
            );
        if reserved {
            return Err(InvalidName::Reserved(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl std::fmt::Display for PgName {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for PgName {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for PgName {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::Type::String)
            .pattern(Some("^[a-z_][a-z0-9_-]{0,62}$"))
            .max_length(Some(IDENTIFIER_BYTES_MAX))
            .examples(["app"])
            .into()
    }
}

#[cfg(feature = "openapi")]
impl utoipa::ToSchema for PgName {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        assert!("app-2_x".parse::<PgName>().is_ok());
        assert_eq!("".parse::<PgName>(), Err(InvalidName::Empty));
        assert_eq!(
            "a".repeat(64).parse::<PgName>(),
            Err(InvalidName::TooLong { bytes: 64 })
        );
        for bad in ["App", "a.b", "1a", "a b", "ä", "a\"", "-a"] {
            assert_eq!(bad.parse::<PgName>(), Err(InvalidName::Characters), "{bad}");
        }
        for reserved in ["pg_x", "lumadb_admin", "postgres", "public"] {
            assert_eq!(
                reserved.parse::<PgName>(),
                Err(InvalidName::Reserved(reserved.into()))
            );
        }
    }
}
