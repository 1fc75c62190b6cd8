//! Choice of a content coding from `Accept-Encoding` (RFC 9110, section 12.5.3).

/// A coding that the build prepares for every text file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    Brotli,
    Gzip,
}

impl Coding {
    /// From the smallest to the largest result.
    const BY_PREFERENCE: [Self; 2] = [Self::Brotli, Self::Gzip];

    /// As it stands in `Content-Encoding`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }

    /// What the compressed file's name ends in.
    pub(crate) const fn suffix(self) -> &'static str {
        match self {
            Self::Brotli => ".br",
            Self::Gzip => ".gz",
        }
    }
}

/// Codings that the client takes, best first. Among those it takes, its weights do not reorder
/// ours: a browser lists all of them alike, and the smallest is the fastest.
pub(crate) fn acceptable(accept_encoding: &str) -> impl Iterator<Item = Coding> {
    Coding::BY_PREFERENCE
        .into_iter()
        .filter(move |coding| takes(accept_encoding, coding.name()))
}

fn takes(accept_encoding: &str, name: &str) -> bool {
    let mut any = false;
    for entry in accept_encoding.split(',') {
        let (coding, parameters) = entry.split_once(';').unwrap_or((entry, ""));
        let taken = !refused(parameters);
        if coding.trim().eq_ignore_ascii_case(name) {
            return taken;
        }
        if coding.trim() == "*" {
            any = taken;
        }
    }
    any
}

/// Whether the parameters hold a weight of zero, in any of its spellings (`q=0`, `q=0.000`).
fn refused(parameters: &str) -> bool {
    parameters
        .trim()
        .strip_prefix("q=")
        .and_then(|weight| weight.trim().parse::<f32>().ok())
        .is_some_and(|weight| weight <= 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(header: &str) -> Option<Coding> {
        acceptable(header).next()
    }

    #[test]
    fn the_smallest_coding_that_the_client_takes_is_chosen() {
        assert_eq!(chosen("gzip, deflate, br, zstd"), Some(Coding::Brotli));
        assert_eq!(chosen("gzip"), Some(Coding::Gzip));
        assert_eq!(chosen("GZIP;q=0.5"), Some(Coding::Gzip));
        assert_eq!(chosen("*"), Some(Coding::Brotli));
    }

    #[test]
    fn a_coding_of_weight_zero_is_never_sent() {
        assert_eq!(chosen("br;q=0, gzip"), Some(Coding::Gzip));
        assert_eq!(chosen("br; q=0.000, *;q=0"), None);
        assert_eq!(chosen("*, br;q=0, gzip;q=0"), None);
        assert_eq!(chosen(""), None);
        assert_eq!(chosen("identity"), None);
    }
}
