//! The kinds of log lines to which a person must react. Each has an id that stays the same for good, whatever the line
//! says: with `log.format = "journald"` it is the `MESSAGE_ID`, and the name is the target of the line in every format
//! that shows one. docs/OPERATIONS.md lists them.

pub const CHANNEL_STOPPED: &str = "rowbell::notice::channel_stopped";
pub const STORM_HELD: &str = "rowbell::notice::storm_held";
pub const DATABASE_IS_COPY: &str = "rowbell::notice::database_is_copy";
pub const WATCH_UNUSABLE: &str = "rowbell::notice::watch_unusable";
pub const LOOKUP_UNUSABLE: &str = "rowbell::notice::lookup_unusable";
pub const TRIGGER_MISSING: &str = "rowbell::notice::trigger_missing";
pub const CHANGES_DROPPED: &str = "rowbell::notice::changes_dropped";
pub const ROW_NOT_CAPTURED: &str = "rowbell::notice::row_not_captured";
pub const ROW_NOT_WORDED: &str = "rowbell::notice::row_not_worded";
pub const ANSWERS_NOT_STORED: &str = "rowbell::notice::answers_not_stored";
pub const OPT_OUTS_NOT_BELIEVED: &str = "rowbell::notice::opt_outs_not_believed";
pub const WEBHOOK_SILENT: &str = "rowbell::notice::webhook_silent";
pub const WEBHOOK_LOST_ADDRESSES: &str = "rowbell::notice::webhook_lost_addresses";
pub const ENDPOINT_STOPPED: &str = "rowbell::notice::endpoint_stopped";
pub const OPERATOR_NOT_TOLD: &str = "rowbell::notice::operator_not_told";
pub const LISTENS_IN_VAIN: &str = "rowbell::notice::listens_in_vain";
pub const CLOCK_DIFFERS: &str = "rowbell::notice::clock_differs";
pub const DATABASE_AWAY: &str = "rowbell::notice::database_away";
pub const STAGE_FAILS: &str = "rowbell::notice::stage_fails";
pub const STAGE_HANGS: &str = "rowbell::notice::stage_hangs";
pub const RELOAD_REFUSED: &str = "rowbell::notice::reload_refused";
pub const DAEMON_ENDED_BADLY: &str = "rowbell::notice::daemon_ended_badly";

/// Each with its id, as the journal writes ids.
pub const ALL: [(&str, &str); 22] = [
    (CHANNEL_STOPPED, "91a44618c5664f62850d512b26c212e2"),
    (STORM_HELD, "084222ed63cd4db9ad1327c9a1fb1f46"),
    (DATABASE_IS_COPY, "4a8933c708d6495692cf1f450e06773b"),
    (WATCH_UNUSABLE, "2d8aef47416347ca8b5418209117fb6f"),
    (LOOKUP_UNUSABLE, "ca2b8498401c4bafb041701f8af086ef"),
    (TRIGGER_MISSING, "a2c0b8bb901c47e191294defbfa8d521"),
    (CHANGES_DROPPED, "ba154dc04ccd4863bce9e0d823b1091c"),
    (ROW_NOT_CAPTURED, "8ec7c0fb345a4c3e8bffd5237350d8be"),
    (ROW_NOT_WORDED, "8b27e8449faf488f8575770f795011be"),
    (ANSWERS_NOT_STORED, "e9497d0d4d564ac7b70f3a61f8296d46"),
    (OPT_OUTS_NOT_BELIEVED, "2c8bcce960fc455c8036552c733bb7f8"),
    (WEBHOOK_SILENT, "fc6e5c4090f740699bcc5f9034a34426"),
    (WEBHOOK_LOST_ADDRESSES, "522921b7bffa4db2b848740655a7ca3c"),
    (ENDPOINT_STOPPED, "ec1b1272cdc94936b63fcf7aa3a0903e"),
    (OPERATOR_NOT_TOLD, "6054654dadbd4d4c909b6c4a75a56264"),
    (LISTENS_IN_VAIN, "67c4b938b4354be4be4f681e79ccfbf3"),
    (CLOCK_DIFFERS, "47dc201e8fcb41759923f6c94db63df2"),
    (DATABASE_AWAY, "5c18ff0abc79434988e1c7b94776cc22"),
    (STAGE_FAILS, "0de793ebb1ea474f9f67521ee7a9c814"),
    (STAGE_HANGS, "5275be0b42f645e79da1e9231f1f9c08"),
    (RELOAD_REFUSED, "5407c4bf137b4d0291625ad70e11df60"),
    (DAEMON_ENDED_BADLY, "5cc130c039fd489b9a9136acf13751f1"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_kind_has_an_id_of_its_own_and_stands_in_the_documentation() {
        let documentation = include_str!("../../docs/OPERATIONS.md");
        let ids: BTreeSet<&str> = ALL.iter().map(|(_, id)| *id).collect();
        assert_eq!(ids.len(), ALL.len());
        for (kind, id) in ALL {
            let is_id = id.len() == 32 && id.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
            assert!(is_id, "{kind}: {id} is not what `systemd-id128 new` gives");
            let name = kind.strip_prefix("rowbell::notice::").unwrap_or_default();
            let line = format!("| `{id}` | `{name}` | ");
            assert!(documentation.contains(&line), "docs/OPERATIONS.md lacks {line}");
        }
    }
}
