//! Arguments that say what is restored.

use std::str::FromStr;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not an address of the form s3://bucket/prefix")]
pub(crate) struct InvalidS3Address(String);

/// A bucket and what stands in front of every key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct S3Address {
    pub(crate) bucket: String,
    pub(crate) prefix: String,
}

impl FromStr for S3Address {
    type Err = InvalidS3Address;

    fn from_str(text: &str) -> Result<Self, InvalidS3Address> {
        let (bucket, prefix) = match text.strip_prefix("s3://") {
            Some(rest) => rest.split_once('/').unwrap_or((rest, "")),
            None => ("", ""),
        };
        if bucket.is_empty() {
            return Err(InvalidS3Address(text.to_owned()));
        }
        Ok(Self {
            bucket: bucket.to_owned(),
            prefix: prefix.trim_end_matches('/').to_owned(),
        })
    }
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a moment such as 2026-11-27T12:00:00Z (with `Z` or an offset)")]
pub(crate) struct InvalidMoment(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MomentArgument(pub(crate) OffsetDateTime);

impl FromStr for MomentArgument {
    type Err = InvalidMoment;

    fn from_str(text: &str) -> Result<Self, InvalidMoment> {
        let moment = OffsetDateTime::parse(text, &Rfc3339);
        moment.map(Self).map_err(|_| InvalidMoment(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_a_bucket_and_perhaps_a_prefix() {
        let read = |text: &str| {
            let read: Result<S3Address, _> = text.parse();
            read.map(|address| (address.bucket, address.prefix))
        };
        let pair = |bucket: &str, prefix: &str| Ok((bucket.to_owned(), prefix.to_owned()));
        assert_eq!(read("s3://b"), pair("b", ""));
        assert_eq!(read("s3://b/"), pair("b", ""));
        assert_eq!(read("s3://b/a/c/"), pair("b", "a/c"));
        for bad in ["", "b", "s3://", "s3:///a", "https://b/a"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_moment_without_an_offset_is_refused() {
        assert!("2026-11-27T12:00:00Z".parse::<MomentArgument>().is_ok());
        assert!(
            "2026-11-27T12:00:00.5+02:00"
                .parse::<MomentArgument>()
                .is_ok()
        );
        assert!("2026-11-27 12:00".parse::<MomentArgument>().is_err());
    }
}
