use std::fmt::Write as _;

/// Writes `text` with every byte that is not `plain`, and every `%`, as `%` and two hexadecimal digits: what differs stays
/// different, and it can be read back.
pub(crate) fn escape(text: &str, plain: impl Fn(u8) -> bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte != b'%' && byte.is_ascii() && plain(byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing to a string can't fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_plain_is_escaped() {
        let letters = |byte: u8| byte.is_ascii_alphanumeric();
        assert_eq!(escape("Order.Placed é%\n", letters), "Order%2EPlaced%20%C3%A9%25%0A");
        assert_eq!(escape("", letters), "");
    }
}
