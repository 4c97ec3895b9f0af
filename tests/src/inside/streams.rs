//! When the application takes the channel, in the protocols whose messages are no lines, and in HTTP.

/// A client that has nothing to wait for has its own words only.
pub(super) fn first(last: &[u8], _: &[u8]) -> bool {
    last.is_empty()
}

/// Not WILL, WONT, DO and DONT of option 46; a text's first octet.
pub(super) fn telnet_element(last: &[u8], _: &[u8]) -> bool {
    let option = last.len() == 3 && (251..=254).contains(&last[1]) && last[2] == 46;
    !option && (last[0] == 255 || last.len() == 1)
}
