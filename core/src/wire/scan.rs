//! Octets looked at a word at a time.

/// 1 in each octet of a word.
const ONES: usize = usize::MAX / 0xff;

/// Skips octets up to the first one below `limit`, which is ASCII, or among the `others`.
#[inline]
pub(super) fn skip<const N: usize>(octets: &[u8], limit: u8, others: [u8; N]) -> &[u8] {
    let mut octets = octets;
    while let Some((word, behind)) = octets.split_first_chunk() {
        let word = usize::from_le_bytes(*word);
        let in_others = |found, &octet: &u8| found | below(1, word ^ (usize::from(octet) * ONES));
        let found = others.iter().fold(below(limit, word), in_others);
        if found != 0 {
            return octets.get(found.trailing_zeros() as usize / 8..).unwrap_or_default();
        }
        octets = behind;
    }
    while let [octet, behind @ ..] = octets
        && *octet >= limit
        && !others.contains(octet)
    {
        octets = behind;
    }
    octets
}

/// Sets the high bit of the first octet of a word that is below `limit`. Of those behind it, a
/// borrow may set others; of those before it, none.
const fn below(limit: u8, word: usize) -> usize {
    word.wrapping_sub(limit as usize * ONES) & !word & (0x80 * ONES)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// At any place in any neighbourhood, the first octet asked for is found.
    #[test]
    fn the_first_octet_is_found() {
        let asked = |octet: u8| octet < b' ' || octet == b'<' || octet == b'\xfe';
        for around in [b' ', b'!', b'=', b';', 0x7f, 0x80, 0xff] {
            for octet in 0..=255 {
                for at in 0..20 {
                    let mut octets = [around; 20];
                    octets[at] = octet;
                    let find = |octets: &[u8]| skip(octets, b' ', [b'<', b'\xfe']).len();
                    let expected = if asked(octet) { 20 - at } else { 0 };
                    assert_eq!(find(&octets), expected, "{octet} at {at} in {around}");
                    // Whatever stands behind it.
                    octets[at..].fill(octet);
                    assert_eq!(find(&octets), expected, "{octet} from {at} in {around}");
                }
            }
        }
    }
}
