//! What each error means to a sender, as data: the codes of WhatsApp, by answer and by receipt alike, and the HTTP
//! statuses of answers that carry none. The codes and their meaning are Meta's (Cloud API error codes); what to do
//! about them is ours.
//!
//! A code is a number where a code stands (see `onemsg/answer.rs`), or the published title of one as a whole: an `ack`
//! of 1MSG carries the title in the place of the number. A word or a number somewhere in a sentence is neither.

use crate::domain::message::attempt::{ErrorClass, StatusMeaning};

use ErrorClass::{Channel, Content, Later, Recipient, Retry, Slow, Template};
use StatusMeaning::{Refused, Unknown, Unreached};

/// First code, last code, class, meaning.
pub const CODES: &[(i32, i32, ErrorClass, &str)] = &[
    (0, 0, Channel, "token invalid or expired"),
    (1, 2, Retry, "unknown or temporary service error"),
    (3, 3, Channel, "permission missing"),
    (4, 4, Slow, "application rate limit"),
    (10, 10, Channel, "permission missing"),
    (17, 17, Slow, "user rate limit"),
    (32, 32, Slow, "page rate limit"),
    (33, 33, Channel, "number deleted"),
    (100, 100, Content, "invalid parameter"),
    (190, 190, Channel, "token invalid or expired"),
    (200, 299, Channel, "permission missing"),
    (341, 341, Slow, "application limit"),
    (368, 368, Channel, "account restricted for a policy violation"),
    (613, 613, Slow, "rate limit of the API"),
    (80000, 80014, Slow, "account rate limit"),
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
    (131043, 131043, Recipient, "expired before it could be delivered"),
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

/// Code, subcode and class, where the subcode changes the class.
pub const SUBCODES: &[(i32, i32, ErrorClass, &str)] =
    &[(100, 33, Channel, "the number does not exist, or its permission is missing")];

/// Titles that Meta and 1MSG publish for a code, and their details where the details alone are passed on. Lower case,
/// without the full stop at the end; `…` stands for one word, such as a name.
pub const TITLES: &[(&str, i32)] = &[
    ("authexception", 0),
    ("access token has expired", 190),
    ("temporarily blocked for policies violations", 368),
    ("rate limit issues", 80007),
    ("rate limit hit", 130429),
    ("user's number is part of an experiment", 130472),
    ("business account is restricted from messaging users in this country", 130497),
    ("something went wrong", 131000),
    ("access denied", 131005),
    ("required parameter is missing", 131008),
    ("parameter value is not valid", 131009),
    ("service unavailable", 131016),
    ("recipient cannot be sender", 131021),
    ("message undeliverable", 131026),
    ("recipient is not a valid whatsapp user", 131026),
    ("recipient phone number not in allowed list", 131030),
    ("business account locked", 131031),
    ("account has been locked", 131031),
    ("display name approval needed", 131037),
    ("business eligibility payment issue", 131042),
    ("business eligibility — payment issue", 131042),
    ("message expired", 131043),
    ("unsigned certificate", 131045),
    ("incorrect certificate", 131045),
    ("re-engagement message", 131047),
    ("spam rate limit hit", 131048),
    ("this message was not delivered to maintain healthy ecosystem engagement", 131049),
    ("meta chose not to deliver", 131049),
    ("user has stopped receiving marketing messages from this business", 131050),
    ("user's number has stopped receiving marketing messages from this business", 131050),
    ("unsupported message type", 131051),
    ("(business account, consumer account) pair rate limit hit", 131056),
    ("account in maintenance mode", 131057),
    ("number of parameters does not match the expected number of params", 132000),
    ("template param count mismatch", 132000),
    ("…: number of localizable_params … does not match the expected number of params …", 132000),
    ("template name does not exist in the translation", 132001),
    ("template name … does not exist in …", 132001),
    ("template … does not exist", 132001),
    ("translated text too long", 132005),
    ("template hydrated text too long", 132005),
    ("template format character policy violated", 132007),
    ("parameter format does not match format in the created template", 132012),
    ("template parameter format mismatch", 132012),
    ("template is paused", 132015),
    ("template is disabled", 132016),
    ("there is an issue with the parameters in your template", 132018),
    ("flow is blocked", 132068),
    ("flow is throttled", 132069),
    ("server temporarily unavailable", 133004),
    ("account not registered", 133010),
    ("phone number not registered", 133010),
    ("generic user error", 135000),
];

/// First status, last status, what it means without an error in the provider's own form (an empty body, somebody's
/// page), and with one. 520 to 530 are Cloudflare's.
pub const STATUSES: &[(u16, u16, StatusMeaning, StatusMeaning)] = &[
    (100, 199, Unknown, Unknown),
    (200, 299, Unknown, Refused(Content)),
    // A redirection is not followed: the address is wrong.
    (300, 399, Refused(Channel), Refused(Channel)),
    (401, 407, Refused(Channel), Refused(Channel)),
    // The request did not come in whole, or somebody else holds what it needs.
    (408, 408, Refused(Retry), Refused(Retry)),
    (410, 411, Refused(Channel), Refused(Channel)),
    (415, 415, Refused(Channel), Refused(Channel)),
    (421, 421, Refused(Channel), Refused(Channel)),
    (423, 425, Refused(Retry), Refused(Retry)),
    (426, 426, Refused(Channel), Refused(Channel)),
    (429, 429, Refused(Slow), Refused(Slow)),
    (431, 431, Refused(Channel), Refused(Channel)),
    (451, 451, Refused(Channel), Refused(Channel)),
    (400, 499, Refused(Content), Refused(Content)),
    (501, 501, Refused(Retry), Refused(Retry)),
    // Gave up on what is behind it.
    (502, 502, Unknown, Unknown),
    (503, 503, Refused(Retry), Refused(Retry)),
    (504, 504, Unknown, Unknown),
    (505, 506, Refused(Retry), Refused(Retry)),
    // The network asks to log in first.
    (511, 511, Unreached, Unreached),
    (520, 520, Unknown, Unknown),
    (521, 523, Unreached, Unreached),
    (524, 524, Unknown, Unknown),
    (525, 526, Unreached, Unreached),
    (530, 530, Unreached, Unreached),
    (598, 599, Unknown, Unknown),
    (500, 599, Unknown, Refused(Retry)),
];

/// What to do about an error with this code.
pub fn class_of(code: i32, subcode: Option<i32>) -> Option<ErrorClass> {
    let with_subcode = subcode.and_then(|subcode| {
        SUBCODES.iter().find(|(first, second, ..)| (*first, *second) == (code, subcode))
    });
    let alone = || CODES.iter().find(|(first, last, ..)| (*first..=*last).contains(&code));
    with_subcode.map(|(.., class, _)| *class).or_else(|| alone().map(|(.., class, _)| *class))
}

/// What an answer with this status means that carries no known code. `has_words`: it carries an error in the provider's
/// own form.
pub fn meaning_of(status: u16, has_words: bool) -> StatusMeaning {
    let row = STATUSES.iter().find(|(first, last, ..)| (*first..=*last).contains(&status));
    row.map_or(Unknown, |(_, _, bare, worded)| if has_words { *worded } else { *bare })
}

/// Codes that are too long to be the number of anything else in a sentence.
const LONG: i32 = 100_000;

/// The code whose title this is, as a whole. Meta writes its number in front: `(#131026) Message undeliverable`.
pub fn code_of_title(text: &str) -> Option<i32> {
    let text = text.trim();
    if let Some((before, rest)) = text.split_once("(#")
        && let Some(code) = rest.split_once(')').and_then(|(number, _)| number.parse().ok())
        && (before.is_empty() || code >= LONG)
    {
        return Some(code);
    }
    let lower = text.trim_end_matches('.').replace('\u{2019}', "'").to_lowercase();
    TITLES.iter().find(|(title, _)| fits(title, &lower)).map(|(_, code)| *code)
}

/// Whether a text is a title, each `…` being one word of it.
fn fits(title: &str, text: &str) -> bool {
    let Some((before, after)) = title.split_once('…') else {
        return title == text;
    };
    let Some(rest) = text.strip_prefix(before) else {
        return false;
    };
    let ends = rest.char_indices().map(|(at, c)| at + c.len_utf8());
    let word = rest.find(char::is_whitespace).unwrap_or(rest.len());
    ends.take_while(|end| *end <= word).any(|end| fits(after, &rest[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    #[test]
    fn the_table_reads_like_this() {
        let mut table = String::from("code: class, meaning, titles\n");
        for (first, last, class, meaning) in CODES {
            let codes = if first == last { first.to_string() } else { format!("{first}-{last}") };
            let titles = TITLES.iter().filter(|(_, code)| (first..=last).contains(&code));
            let titles: Vec<String> = titles.map(|(title, _)| format!("\"{title}\"")).collect();
            let row =
                format!("{codes:<14} {:<10} {meaning:<56} {}", class.into_str(), titles.join(", "));
            let _ = writeln!(table, "{}", row.trim_end());
        }
        for (code, subcode, class, meaning) in SUBCODES {
            let _ = writeln!(
                table,
                "{:<14} {:<10} {meaning}",
                format!("{code}/{subcode}"),
                class.into_str()
            );
        }
        table.push_str("\nstatus: without an error in the provider's form, with one\n");
        for (first, last, bare, worded) in STATUSES {
            let statuses =
                if first == last { first.to_string() } else { format!("{first}-{last}") };
            let _ = writeln!(table, "{statuses:<14} {:<20} {}", in_words(*bare), in_words(*worded));
        }
        insta::assert_snapshot!("error_table", table);
    }

    fn in_words(meaning: StatusMeaning) -> String {
        match meaning {
            Refused(class) => format!("refused {}", class.into_str()),
            Unreached => "unreached".to_owned(),
            Unknown => "unknown".to_owned(),
        }
    }

    #[test]
    fn a_title_is_a_code_only_as_a_whole() {
        for (title, code) in TITLES {
            assert_eq!(code_of_title(&title.replace('…', "some_name")), Some(*code), "{title}");
            assert!(class_of(*code, None).is_some(), "{title}");
        }
        assert_eq!(code_of_title("(#132001) Template name does not exist"), Some(132_001));
        assert_eq!(code_of_title("Failed: (#132001) x"), Some(132_001));
        assert_eq!(code_of_title("User’s number is part of an experiment."), Some(130_472));
        let template = "template name payment_reminder does not exist in es";
        assert_eq!(code_of_title(template), Some(132_001), "whatever the template is called");
        let count = "body: number of localizable_params (2) does not match the expected number of params (1)";
        assert_eq!(code_of_title(count), Some(132_000));
        for text in [
            "",
            "…",
            "payment_reminder",
            "the rate limit of order 131026 is fine",
            "Template payment reminder does not exist",
            "order (#4) cannot be paid",
        ] {
            assert_eq!(code_of_title(text), None, "{text}");
        }
    }

    #[test]
    fn every_status_means_something() {
        for status in 100..600 {
            assert!(STATUSES.iter().any(|(first, last, ..)| (*first..=*last).contains(&status)));
        }
        assert_eq!(class_of(133_004, None), Some(Retry), "within a range of another class");
        assert_eq!(class_of(133_010, None), Some(Channel));
        assert_eq!(
            (class_of(100, Some(33)), class_of(100, Some(34))),
            (Some(Channel), Some(Content))
        );
        assert_eq!(class_of(999_999, None), None);
    }
}
