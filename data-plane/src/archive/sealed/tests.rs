use super::*;
use proptest::prelude::*;

fn key(byte: u8) -> ArchiveKey {
    ArchiveKey::parse(&Secret::new(STANDARD.encode([byte; 32]))).expect("32 bytes")
}

fn content(bytes: usize) -> Vec<u8> {
    (0..=250).cycle().step_by(31).take(bytes).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn content_comes_back_however_it_is_cut(
        bytes in 0..3 * FRAME_BYTES,
        written in 1..2 * FRAME_BYTES,
        read in 1..2 * FRAME_BYTES,
    ) {
        let plain = content(bytes);
        let mut sealed = Vec::new();
        let mut sealer = Sealer::begin(&key(1), "a/b", &mut sealed).expect("begun");
        for part in plain.chunks(written) {
            sealer.push(part, &mut sealed).expect("sealed");
        }
        sealer.finish(&mut sealed).expect("finished");
        let (archive_key, mut back) = (key(1), Vec::new());
        let mut opener = Opener::begin(&archive_key, "a/b");
        for part in sealed.chunks(read) {
            opener.push(part, &mut back).expect("opened");
        }
        opener.finish(&mut back).expect("whole");
        prop_assert_eq!(back, plain);
    }

    #[test]
    fn a_flipped_bit_anywhere_is_noticed(
        bytes in 0..2 * FRAME_BYTES,
        at: prop::sample::Index,
        bit in 0..8_u8,
    ) {
        let mut sealed = seal(&key(1), "a/b", &content(bytes)).expect("sealed");
        let at = at.index(sealed.len());
        sealed[at] ^= 1_u8 << bit;
        prop_assert!(open(&key(1), "a/b", &sealed).is_err());
    }

    #[test]
    fn a_truncated_object_is_noticed(bytes in 0..2 * FRAME_BYTES, to: prop::sample::Index) {
        let sealed = seal(&key(1), "a/b", &content(bytes)).expect("sealed");
        prop_assert!(open(&key(1), "a/b", &sealed[..to.index(sealed.len())]).is_err());
    }
}

#[test]
fn an_object_cut_between_two_frames_is_noticed() {
    let sealed = seal(&key(1), "a/b", &content(3 * FRAME_BYTES)).expect("sealed");
    let two = HEADER_BYTES + 2 * (FRAME_BYTES + TAG_BYTES);
    assert_eq!(
        open(&key(1), "a/b", &sealed[..two]),
        Err(SealedError::Frame(1))
    );
}

#[test]
fn frames_that_changed_places_are_noticed() {
    let mut sealed = seal(&key(1), "a/b", &content(3 * FRAME_BYTES)).expect("sealed");
    let full = FRAME_BYTES + TAG_BYTES;
    let (first, second) = sealed[HEADER_BYTES..].split_at_mut(full);
    first.swap_with_slice(&mut second[..full]);
    assert_eq!(open(&key(1), "a/b", &sealed), Err(SealedError::Frame(0)));
}

#[test]
fn an_object_opens_under_its_own_name_and_key_only() {
    let sealed = seal(&key(1), "a/b", b"content").expect("sealed");
    assert_eq!(open(&key(1), "a/c", &sealed), Err(SealedError::Foreign));
    assert_eq!(open(&key(2), "a/b", &sealed), Err(SealedError::Foreign));
    assert_eq!(open(&key(1), "a/b", &sealed), Ok(b"content".to_vec()));
}

#[test]
fn two_objects_of_one_content_have_nothing_in_common() {
    let first = seal(&key(1), "a/b", &[0; 1000]).expect("sealed");
    let second = seal(&key(1), "a/b", &[0; 1000]).expect("sealed");
    assert_ne!(first[PREAMBLE_BYTES..], second[PREAMBLE_BYTES..]);
}

#[test]
fn what_is_no_object_of_an_archive_says_so() {
    assert_eq!(open(&key(1), "a", b""), Err(SealedError::Header));
    assert_eq!(open(&key(1), "a", &[7; 400]), Err(SealedError::Header));
    let mut newer = seal(&key(1), "a", b"").expect("sealed");
    newer[8] = 2;
    assert_eq!(open(&key(1), "a", &newer), Err(SealedError::Version(2)));
    assert!(ArchiveKey::parse(&Secret::new("c2hvcnQ=")).is_err());
}
