//! What each error code of WhatsApp means to a sender, as data. The codes and their meaning are
//! Meta's (Cloud API error codes); what to do about them is ours.

use crate::domain::message::attempt::ErrorClass;

use ErrorClass::{Channel, Content, Later, Recipient, Retry, Slow, Template};

/// First code, last code, class, meaning.
pub const CODES: &[(i32, i32, ErrorClass, &str)] = &[
    (0, 0, Channel, "token invalid or expired"),
    (1, 2, Retry, "unknown or temporary service error"),
    (3, 3, Channel, "permission missing"),
    (4, 4, Slow, "application rate limit"),
    (10, 10, Channel, "permission missing"),
    (33, 33, Channel, "number deleted"),
    (100, 100, Content, "invalid parameter"),
    (190, 190, Channel, "token invalid or expired"),
    (200, 299, Channel, "permission missing"),
    (368, 368, Channel, "account restricted for a policy violation"),
    (80007, 80007, Slow, "account rate limit"),
    (130429, 130429, Slow, "throughput of the number exceeded"),
    (130472, 130472, Recipient, "recipient is part of an experiment"),
    (130497, 130497, Recipient, "business may not message users of this country"),
    (131000, 131000, Retry, "something went wrong"),
    (131005, 131005, Channel, "access denied"),
    (131008, 131009, Content, "missing or malformed parameter"),
    (131016, 131016, Retry, "service unavailable"),
    (131021, 131021, Recipient, "recipient equals sender"),
    (
        131026,
        131026,
        Recipient,
        "undeliverable: not on WhatsApp, old version, or terms not accepted",
    ),
    (131030, 131030, Content, "recipient is not in the list of a test number"),
    (131031, 131031, Channel, "account locked"),
    (131037, 131037, Channel, "display name not approved"),
    (131042, 131042, Channel, "payment problem"),
    (131045, 131045, Channel, "certificate or registration fault"),
    (131047, 131047, Content, "more than 24 hours since the last reply"),
    (131048, 131048, Channel, "spam rate limit: quality"),
    (131049, 131049, Later, "not delivered, to keep engagement healthy"),
    (131050, 131050, Recipient, "user stopped marketing messages"),
    (131051, 131053, Content, "message type or media not supported"),
    (131056, 131056, Slow, "pair rate limit"),
    (131057, 131057, Retry, "account in maintenance mode"),
    (131063, 131064, Channel, "account may not send this category"),
    (132000, 132000, Template, "number of parameters does not match"),
    (132001, 132001, Template, "template does not exist in that language"),
    (132005, 132005, Content, "translated text too long"),
    (132007, 132007, Template, "template content violates policy"),
    (132012, 132012, Content, "parameter format does not match"),
    (132015, 132015, Template, "template paused"),
    (132016, 132016, Template, "template disabled"),
    (132018, 132018, Content, "parameter format does not match"),
    (132068, 132069, Template, "flow blocked or throttled"),
    (133004, 133004, Retry, "server temporarily unavailable"),
    (133000, 133016, Channel, "registration fault"),
    (134011, 134011, Content, "terms not accepted or generic user error"),
    (135000, 135000, Retry, "generic user error"),
    (137000, 137000, Recipient, "identity of the recipient changed"),
];

/// Texts in which 1MSG hides a code: its acks carry no number. Lower case; the first that fits wins.
pub const TEXTS: &[(&str, i32)] = &[
    ("experiment", 130472),
    ("healthy ecosystem", 131049),
    ("per-user", 131049),
    ("frequency cap", 131049),
    ("re-engagement", 131047),
    ("24 hour", 131047),
    ("dialog window is closed", 131047),
    ("undeliverable", 131026),
    ("not a valid whatsapp user", 131026),
    ("stopped marketing", 131050),
    ("stop receiving marketing", 131050),
    ("stopped receiving marketing", 131050),
    ("users in this country", 130497),
    ("cannot be sender", 131021),
    ("account locked", 131031),
    ("account not registered", 133010),
    ("maintenance mode", 131057),
    ("display name", 131037),
    ("temporarily blocked", 368),
    ("something went wrong", 131000),
    ("service unavailable", 131016),
    ("template is paused", 132015),
    ("template paused", 132015),
    ("template is disabled", 132016),
    ("template disabled", 132016),
    ("pair rate limit", 131056),
    ("spam rate limit", 131048),
    ("rate limit", 130429),
    ("payment", 131042),
    ("new-line/tab", 132018),
    ("localizable_params", 132000),
    ("number of parameters", 132000),
    ("parameter format does not match", 132012),
    ("text too long", 132005),
    ("policy violated", 132007),
    ("template is not defined", 100),
    ("does not exist", 132001),
];

/// What to do about an error whose code is known, or told by its text.
pub fn known_class(code: Option<i32>, text: Option<&str>) -> Option<ErrorClass> {
    let code = code.or_else(|| text.and_then(code_in_text))?;
    let row = CODES.iter().find(|(first, last, ..)| (*first..=*last).contains(&code));
    row.map(|(.., class, _)| *class)
}

/// What to do about a refusal. The code decides; without a known one the text; then the status.
pub fn classify(code: Option<i32>, http_status: Option<u16>, text: Option<&str>) -> ErrorClass {
    if let Some(class) = known_class(code, text) {
        return class;
    }
    match http_status {
        Some(401 | 403 | 404) => Channel,
        Some(429) => Slow,
        Some(500..) => Retry,
        _ => Content,
    }
}

/// The code that a text carries: as a number of WhatsApp's, or by its words.
pub fn code_in_text(text: &str) -> Option<i32> {
    let number = text
        .split(|c: char| !c.is_ascii_digit())
        .filter(|digits| digits.len() == 6 && digits.starts_with("13"))
        .find_map(|digits| digits.parse().ok());
    let lower = text.to_ascii_lowercase();
    number.or_else(|| TEXTS.iter().find(|(word, _)| lower.contains(word)).map(|(_, code)| *code))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    #[test]
    fn the_table_reads_like_this() {
        let mut table = String::new();
        for (first, last, class, meaning) in CODES {
            let codes = if first == last { first.to_string() } else { format!("{first}-{last}") };
            let _ = writeln!(table, "{codes:<14} {:<10} {meaning}", class.into_str());
        }
        insta::assert_snapshot!("error_table", table);
    }

    #[test]
    fn a_code_decides_before_the_text_and_the_text_before_the_status() {
        assert_eq!(classify(Some(131026), Some(500), None), Recipient);
        assert_eq!(classify(None, Some(400), Some("(#131056) pair rate")), Slow);
        assert_eq!(classify(None, None, Some("User's number is part of an experiment")), Recipient);
        assert_eq!(classify(None, Some(429), Some("slow down")), Slow);
        assert_eq!(classify(None, Some(401), None), Channel);
        assert_eq!(classify(None, Some(422), Some("no idea")), Content);
        assert_eq!(classify(Some(999_999), Some(503), None), Retry);
        assert_eq!(classify(Some(133004), None, None), Retry);
        assert_eq!(classify(Some(133010), None, None), Channel);
    }
}
