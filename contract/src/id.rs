//! Typed identifiers: a prefix that names the kind, then a UUIDv7 in Crockford's base32.
//!
//! `db_01jd8k2m9n…` is 26 base32 digits behind the prefix: 128 bits, most significant first, two
//! zero bits in front (as the ULID specification writes them). Identifiers sort by creation time.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Digits of an encoded identifier behind its prefix.
pub const ENCODED_LENGTH: usize = 26;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not an identifier of the form `{prefix}_…`")]
pub struct InvalidId {
    prefix: &'static str,
    given: String,
}

/// Crockford's alphabet, lower case: no i, l, o, u.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

fn encode(id: Uuid) -> String {
    let value = id.as_u128();
    (0..ENCODED_LENGTH)
        .rev()
        .map(|digit| char::from(ALPHABET[(value >> (digit * 5)) as usize & 31]))
        .collect()
}

fn decode(text: &str) -> Option<Uuid> {
    if text.len() != ENCODED_LENGTH {
        return None;
    }
    let mut value: u128 = 0;
    for (index, digit) in text.bytes().enumerate() {
        let symbol = digit.to_ascii_lowercase();
        let position = ALPHABET.iter().position(|known| *known == symbol)?;
        // 26 digits hold 130 bits; the first digit may use only three of its five.
        if index == 0 && position > 7 {
            return None;
        }
        value = (value << 5) | position as u128;
    }
    Some(Uuid::from_u128(value))
}

macro_rules! typed_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(transparent))]
        pub struct $name(Uuid);

        impl $name {
            /// What an identifier of this kind starts with, before the underscore.
            pub const PREFIX: &'static str = $prefix;

            pub const fn from_uuid(id: Uuid) -> Self {
                Self(id)
            }

            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(out, "{}_{}", Self::PREFIX, encode(self.0))
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, out)
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                text.strip_prefix(Self::PREFIX)
                    .and_then(|rest| rest.strip_prefix('_'))
                    .and_then(decode)
                    .map(Self)
                    .ok_or_else(|| InvalidId {
                        prefix: Self::PREFIX,
                        given: text.chars().take(64).collect(),
                    })
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
                out.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        #[cfg(feature = "openapi")]
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::Type::String)
                    .pattern(Some(concat!("^", $prefix, "_[0-7][0-9a-hjkmnp-tv-z]{25}$")))
                    .examples([concat!($prefix, "_01jdk3x5v9e8rb6w4q2n7m0c1a")])
                    .into()
            }
        }

        #[cfg(feature = "openapi")]
        impl utoipa::ToSchema for $name {}
    };
}

typed_id!(/** A person who can log in. */ UserId, "usr");
typed_id!(/** Who pays. */ OrganizationId, "org");
typed_id!(/** A group of databases with its own members. */ ProjectId, "prj");
typed_id!(/** One PostgreSQL cluster with its own address. */ DatabaseId, "db");
typed_id!(/** A login of a database. */ RoleId, "rol");
typed_id!(/** A database inside a PostgreSQL cluster. */ LogicalDatabaseId, "ldb");
typed_id!(/** A change that was asked for, and how far it is. */ OperationId, "op");
typed_id!(/** The WAL and the backups of one database in the object store. */ ArchiveId, "arc");
typed_id!(/** One base backup. */ BackupId, "bak");
typed_id!(/** A named moment of a database. */ RestorePointId, "rpt");
typed_id!(/** A copy from another PostgreSQL into a database. */ ImportId, "imp");
typed_id!(/** A restore that was tried to see whether it works. */ DrillId, "drl");
typed_id!(/** A session of the web console. */ SessionId, "ses");
typed_id!(/** A token for the API. */ ApiTokenId, "tok");
typed_id!(/** An entry of the audit log. */ AuditEventId, "evt");
typed_id!(/** One start of a node. */ IncarnationId, "inc");
typed_id!(/** What an organization was told of one of its limits. */ LimitNoticeId, "ntc");
typed_id!(/** A row of the outbox. */ OutboxId, "out");
typed_id!(/** An invoice. */ InvoiceId, "inv");
typed_id!(/** A credit note: what takes back a part of an invoice. */ CreditNoteId, "crn");
typed_id!(/** Money that an organization was granted for its invoices. */ CreditId, "crd");
typed_id!(/** A change of plan that was asked for. */ PlanChangeId, "pch");
typed_id!(/** A plan of an organization from one moment to another. */ SubscriptionId, "sub");

impl DatabaseId {
    /// The form used in host names, where an underscore is not allowed: `db-01jd…`.
    pub fn host_label(self) -> String {
        format!("{}-{}", Self::PREFIX, encode(self.uuid()))
    }

    /// Reads an identifier in either form: `db_…`, or `db-…` as it stands in host names.
    pub fn parse_label(text: &str) -> Result<Self, InvalidId> {
        match text.strip_prefix("db-") {
            Some(rest) => format!("db_{rest}").parse(),
            None => text.parse(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_reads_back_what_it_wrote() {
        for raw in [0, 1, u128::MAX, 0x0193_5d3e_8f00_7abc_8def_0123_4567_89ab] {
            let id = DatabaseId::from_uuid(Uuid::from_u128(raw));
            assert_eq!(id.to_string().parse::<DatabaseId>(), Ok(id));
            assert_eq!(DatabaseId::parse_label(&id.host_label()), Ok(id));
            assert_eq!(id.to_string().len(), 3 + ENCODED_LENGTH);
        }
    }

    #[test]
    fn another_kind_a_bad_digit_and_an_overflow_are_refused() {
        let id = DatabaseId::from_uuid(Uuid::from_u128(7)).to_string();
        assert!(id.parse::<ProjectId>().is_err());
        assert!(
            "db_8zzzzzzzzzzzzzzzzzzzzzzzzz"
                .parse::<DatabaseId>()
                .is_err()
        );
        assert!(id.replace('0', "u").parse::<DatabaseId>().is_err());
        assert!("db_".parse::<DatabaseId>().is_err());
    }

    #[test]
    fn identifiers_sort_by_time() {
        let early = DatabaseId::from_uuid(Uuid::from_u128(1 << 100));
        let late = DatabaseId::from_uuid(Uuid::from_u128(2 << 100));
        assert!(early < late && early.to_string() < late.to_string());
    }
}
