//! Framing of samples in a spool file: length, CRC, JSON.
//!
//! A file is a row of records and nothing else. A record that was being written when the power went
//! is shorter than its length says or fails its CRC; reading ends there.

use lumadb_contract::usage::UsageSample;

/// Bytes before a record's body: length of the body and CRC-32 (IEEE) of it, both little endian.
const HEADER_BYTES: usize = 8;

/// Longest body, bytes; a sample has about 300. Guards against reading a torn length.
const BODY_BYTES_MAX: usize = 16 * 1024;

pub(crate) fn encode(sample: &UsageSample) -> Result<Vec<u8>, serde_json::Error> {
    let mut record = vec![0; HEADER_BYTES];
    serde_json::to_writer(&mut record, sample)?;
    let body = &record[HEADER_BYTES..];
    let checksum = crc32fast::hash(body).to_le_bytes();
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes();
    record[..4].copy_from_slice(&length);
    record[4..HEADER_BYTES].copy_from_slice(&checksum);
    Ok(record)
}

/// Reads the records of a file up to its end or the first one that is not whole. Answers also how
/// many bytes the whole ones take.
pub(crate) fn decode_all(bytes: &[u8]) -> (Vec<UsageSample>, usize) {
    let mut samples = Vec::new();
    let mut rest = bytes;
    while let Some((sample, after)) = decode_first(rest) {
        samples.push(sample);
        rest = after;
    }
    (samples, bytes.len() - rest.len())
}

fn decode_first(bytes: &[u8]) -> Option<(UsageSample, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (checksum, rest) = rest.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length) as usize;
    if length > BODY_BYTES_MAX {
        return None;
    }
    let (body, after) = rest.split_at_checked(length)?;
    if crc32fast::hash(body) != u32::from_le_bytes(*checksum) {
        return None;
    }
    Some((serde_json::from_slice(body).ok()?, after))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use lumadb_contract::id::IncarnationId;
    use lumadb_contract::usage::{UsageCounters, UsageGauges};
    use time::{Duration, OffsetDateTime};
    use uuid::Uuid;

    pub(crate) fn sample(incarnation: u128, sequence: u64, seconds: i64) -> UsageSample {
        UsageSample {
            incarnation_id: IncarnationId::from_uuid(Uuid::from_u128(incarnation)),
            sequence,
            taken_at: OffsetDateTime::UNIX_EPOCH + Duration::seconds(seconds),
            counters: UsageCounters {
                requests: sequence * 10,
                ..UsageCounters::default()
            },
            gauges: UsageGauges::default(),
            last: false,
        }
    }

    #[test]
    fn a_file_cut_at_any_byte_reads_back_a_prefix_of_what_was_written() {
        let samples: Vec<_> = (1..=5).map(|n| sample(1, n, 0)).collect();
        let mut file = Vec::new();
        let mut ends = vec![0];
        for sample in &samples {
            file.extend(encode(sample).expect("encodes"));
            ends.push(file.len());
        }
        for cut in 0..=file.len() {
            let whole = ends.iter().filter(|end| **end <= cut).count() - 1;
            let (read, bytes) = decode_all(&file[..cut]);
            assert_eq!(read, samples[..whole], "cut at {cut}");
            assert_eq!(bytes, ends[whole], "cut at {cut}");
        }
    }

    #[test]
    fn a_damaged_record_ends_the_reading() {
        let mut file = encode(&sample(1, 1, 0)).expect("encodes");
        let first = file.len();
        file.extend(encode(&sample(1, 2, 0)).expect("encodes"));
        file[first + HEADER_BYTES + 3] ^= 1;
        let (read, bytes) = decode_all(&file);
        assert_eq!((read.len(), bytes), (1, first));
    }
}
