//! How long WhatsApp keeps a message for a phone that is off: until what it tells is over.

use jiff::SignedDuration;
use serde::Deserialize;
use strum::IntoStaticStr;

/// The category under which WhatsApp approved a template.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, IntoStaticStr)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Category {
    #[default]
    Utility,
    Authentication,
    Marketing,
}

impl Category {
    /// The seconds that WhatsApp takes, from the fewest to the most.
    fn bounds(self) -> (u32, u32) {
        match self {
            Category::Utility => (30, 12 * 3_600),
            Category::Authentication => (30, 900),
            Category::Marketing => (12 * 3_600, 30 * 86_400),
        }
    }

    /// The time to live of a message that holds for so long; None: WhatsApp's own, because no time can be
    /// said that is long enough. A shorter one would lose what is still true when the phone is on again.
    pub fn time_to_live(self, holds_for: SignedDuration) -> Option<u32> {
        let (fewest, most) = self.bounds();
        let seconds = u32::try_from(holds_for.as_secs().max(0)).unwrap_or(u32::MAX);
        (seconds <= most).then_some(seconds.max(fewest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lasts_as_long_as_the_message_holds_within_what_the_category_takes() {
        use Category::{Authentication, Marketing, Utility};
        for (category, holds_for, expected) in [
            (Utility, 3_600, Some(3_600)),
            (Utility, 5, Some(30)),
            (Utility, -5, Some(30)),
            (Utility, 43_200, Some(43_200)),
            (Utility, 43_201, None),
            (Authentication, 600, Some(600)),
            (Authentication, 901, None),
            (Marketing, 3_600, Some(43_200)),
            (Marketing, 86_400, Some(86_400)),
            (Marketing, 2_592_001, None),
            (Utility, i64::MAX, None),
        ] {
            let holds = SignedDuration::from_secs(holds_for);
            assert_eq!(category.time_to_live(holds), expected, "{category:?} {holds_for}");
        }
    }
}
