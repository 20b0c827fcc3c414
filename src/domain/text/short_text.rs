//! Small texts that commands and the page write.

use jiff::{SignedDuration, Timestamp};

/// Work that waits longer than this needs a look.
pub const LATE: SignedDuration = SignedDuration::from_mins(2);

/// Length of a time in its two largest units: `45 s`, `12 min`, `3 h 5 min`, `2 d 4 h`.
pub fn length(time: SignedDuration) -> String {
    let seconds = time.as_secs().max(0);
    let two = |big: i64, unit: &str, small: i64, rest: &str| match small {
        0 => format!("{big} {unit}"),
        small => format!("{big} {unit} {small} {rest}"),
    };
    match seconds {
        0..=59 => format!("{seconds} s"),
        60..=3_599 => format!("{} min", seconds / 60),
        3_600..=86_399 => two(seconds / 3_600, "h", seconds % 3_600 / 60, "min"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3_600, "h"),
    }
}

/// How long ago a moment was.
pub fn age(of: Timestamp, now: Timestamp) -> String {
    length(now.duration_since(of))
}

/// A moment as logs write it: UTC, to the second.
pub fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// The last four digits of a phone, which are enough to recognise it by.
pub fn masked(phone: &str) -> String {
    let digits = phone.chars().count();
    let shown: String = phone.chars().skip(digits.saturating_sub(4)).collect();
    format!("…{}", if digits > 6 { shown.as_str() } else { "" })
}

/// The key of a recipient; one that is a phone or a mail address is masked.
pub fn masked_key(key: &str) -> String {
    let is_address = key.contains('@') || !key.contains(char::is_alphabetic) && key.len() > 6;
    if is_address { masked(key) } else { key.to_owned() }
}

/// `1 change`, `2 changes`.
pub fn count(number: i64, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

/// `1 message is`, `2 messages are`.
pub fn are(messages: i64) -> String {
    format!("{} {}", count(messages, "message"), if messages == 1 { "is" } else { "are" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_at_most_two_units() {
        let text = |seconds| length(SignedDuration::from_secs(seconds));
        assert_eq!(text(-3), "0 s");
        assert_eq!(text(59), "59 s");
        assert_eq!(text(119), "1 min");
        assert_eq!(text(3_600), "1 h");
        assert_eq!(text(11_100), "3 h 5 min");
        assert_eq!(text(86_400 * 2 + 3_600 * 4 + 59), "2 d 4 h");
    }

    #[test]
    fn a_phone_cannot_be_read_back() {
        assert_eq!(masked("12025550143"), "…0143");
        assert_eq!(masked("112"), "…");
        assert_eq!(masked(""), "…");
    }

    #[test]
    fn keys_that_are_addresses_cannot_be_read_back() {
        assert_eq!(masked_key("12025550143"), "…0143");
        assert_eq!(masked_key("maria@example.org"), "….org");
        assert_eq!(masked_key("c1"), "c1");
        assert_eq!(masked_key("4711"), "4711");
    }
}
