//! In which time zone a recipient lives, and who said so.

use std::borrow::Cow;

use strum::IntoStaticStr;

use crate::domain::value::moment;

/// Who may say it, in the order in which they are asked. The words stand in
/// `rowbell.message.time_zone_source`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum ZoneSource {
    /// The watched row itself.
    Row,
    /// The recipient query.
    Recipient,
    Watch,
    Configuration,
    /// Nobody said one: it is UTC, and hours are told with its name.
    Nobody,
}

/// The zone that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChosenZone<'a> {
    pub name: &'a str,
    pub source: ZoneSource,
    /// Names that are no zones, and who gave them.
    passed_over: Vec<(&'a str, ZoneSource)>,
}

impl<'a> ChosenZone<'a> {
    /// The first of the names that is a time zone.
    pub fn of(names: [(ZoneSource, Option<&'a str>); 4]) -> ChosenZone<'a> {
        let mut passed_over = Vec::new();
        for (source, name) in names {
            match name {
                Some(name) if moment::zone(name).is_ok() => {
                    return ChosenZone { name, source, passed_over };
                }
                Some(name) => passed_over.push((name, source)),
                None => {}
            }
        }
        ChosenZone { name: "UTC", source: ZoneSource::Nobody, passed_over }
    }

    /// `recipient`; `watch; "Madrid" of the recipient is no time zone`.
    pub fn story(&self) -> Cow<'static, str> {
        let mut story = Cow::Borrowed(self.source.into_str());
        for (name, source) in &self.passed_over {
            let name: String = name.chars().filter(|c| !c.is_control()).take(40).collect();
            let source = source.into_str();
            story.to_mut().push_str(&format!("; \"{name}\" of the {source} is no time zone"));
        }
        story
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_name_that_is_a_zone_holds_and_the_others_are_named() {
        use ZoneSource::{Configuration, Recipient, Row, Watch};
        let story = |row, recipient, watch| {
            let names = [(Row, row), (Recipient, recipient), (Watch, watch)];
            let [a, b, c] = names;
            let zone = ChosenZone::of([a, b, c, (Configuration, Some("UTC"))]);
            format!("{} by {}", zone.name, zone.story())
        };
        let (madrid, tokyo) = (Some("Europe/Madrid"), Some("Asia/Tokyo"));
        assert_eq!(story(tokyo, madrid, None), "Asia/Tokyo by row");
        assert_eq!(story(None, madrid, tokyo), "Europe/Madrid by recipient");
        assert_eq!(story(None, None, tokyo), "Asia/Tokyo by watch");
        assert_eq!(story(None, None, None), "UTC by configuration");
        let nobody = ChosenZone::of([
            (Row, None),
            (Recipient, Some("Madrid")),
            (Watch, None),
            (Configuration, None),
        ]);
        assert_eq!(nobody.story(), "nobody; \"Madrid\" of the recipient is no time zone");
        assert_eq!(
            story(Some("Mars\n"), Some("Madrid"), tokyo),
            "Asia/Tokyo by watch; \"Mars\" of the row is no time zone; \"Madrid\" of the recipient is no time zone"
        );
    }
}
