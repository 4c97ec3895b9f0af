//! A SEQUENCE of two INTEGERs (X.690): an RSA public key (RFC 8017 Appendix A.1.1), a signature of
//! ECDSA (RFC 3279 §2.2.3). A library for all of DER takes 2 KB more of the flash.

const INTEGER: u8 = 0x02;
const SEQUENCE: u8 = 0x30;

/// Both, the most significant octet first and not zero. None if they are negative, or if this is not
/// their only encoding.
pub(crate) fn integers(mut der: &[u8]) -> Option<[&[u8]; 2]> {
    let mut sequence = element(&mut der, SEQUENCE)?;
    let both = [positive(&mut sequence)?, positive(&mut sequence)?];
    (der.is_empty() && sequence.is_empty()).then_some(both)
}

fn positive<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    match element(from, INTEGER)? {
        [0, rest @ ..] => rest.first().is_some_and(|&first| first >= 0x80).then_some(rest),
        octets => octets.first().is_some_and(|&first| first < 0x80).then_some(octets),
    }
}

/// The content of an element, of 64 KiB at most.
fn element<'a>(from: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    let [first, length, rest @ ..] = *from else { return None };
    let (length, rest) = match (*length, rest) {
        (length @ ..=0x7f, rest) => (length.into(), rest),
        (0x81, &[length, ref rest @ ..]) if length >= 0x80 => (length.into(), rest),
        (0x82, &[high, low, ref rest @ ..]) if high > 0 => {
            (usize::from(high) << 8 | usize::from(low), rest)
        }
        _ => return None,
    };
    if *first != tag {
        return None;
    }
    let content;
    (content, *from) = rest.split_at_checked(length)?;
    Some(content)
}

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use super::*;

    fn der(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = content.len();
        let mut all = vec![tag];
        match length {
            ..=0x7f => all.push(length as u8),
            0x80..=0xff => all.extend([0x81, length as u8]),
            _ => all.extend([0x82, (length >> 8) as u8, length as u8]),
        }
        all.extend(content);
        all
    }

    fn sequence(first: &[u8], second: &[u8]) -> Vec<u8> {
        der(SEQUENCE, &[der(INTEGER, first), der(INTEGER, second)].concat())
    }

    #[test]
    fn integers_of_every_length() {
        for length in [1, 2, 0x7e, 0x7f, 0x80, 0x81, 0xff, 0x100, 0x101, 513] {
            let number = vec![0x7f; length];
            let padded = [&[0], &vec![0x80; length][..]].concat();
            let all = sequence(&number, &padded);
            assert_eq!(integers(&all), Some([&number[..], &padded[1..]]), "{length}");
            for end in 0..all.len() {
                assert_eq!(integers(&all[..end]), None, "{length}, {end}");
            }
            assert_eq!(integers(&[&all[..], &[0]].concat()), None);
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for number in [&[][..], &[0], &[0, 0], &[0, 0x7f], &[0x80], &[0xff, 1]] {
            assert_eq!(integers(&sequence(number, &[1])), None, "{number:?}");
            assert_eq!(integers(&sequence(&[1], number)), None, "{number:?}");
        }
        for octets in [
            // Lengths in more octets than they need, of no certain end, of more than we take.
            &[0x30, 0x81, 6, 2, 1, 1, 2, 1, 1][..],
            &[0x30, 0x82, 0, 6, 2, 1, 1, 2, 1, 1],
            &[0x30, 0x80, 2, 1, 1, 2, 1, 1, 0, 0],
            &[0x30, 0x83, 0, 0, 6, 2, 1, 1, 2, 1, 1],
            &[0x30, 7, 2, 0x81, 1, 1, 2, 1, 1],
            // Other tags; one INTEGER, three of them.
            &[0x31, 6, 2, 1, 1, 2, 1, 1],
            &[0x30, 6, 3, 1, 1, 2, 1, 1],
            &[0x30, 6, 2, 1, 1, 4, 1, 1],
            &[0x30, 3, 2, 1, 1],
            &[0x30, 9, 2, 1, 1, 2, 1, 1, 2, 1, 1],
        ] {
            assert_eq!(integers(octets), None, "{octets:?}");
        }
    }
}
