//! Times and numbers as the site reads them: by its time zone and in its language, and how long ago that is.

use std::rc::Rc;

use icu::decimal::input::Decimal;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use maud::{Markup, html};

use crate::domain::locale::formats::{LocaleFormats, formats};
use crate::domain::text::short_text::length;
use crate::domain::value::moment;
use crate::page::layout::zone;
use crate::page::state::PageState;

/// How this site writes times and numbers, at one moment.
pub struct Times {
    pub now: Timestamp,
    zone: TimeZone,
    formats: Option<Rc<LocaleFormats>>,
}

impl Times {
    pub fn of(page: &PageState) -> Times {
        let zone = moment::zone(zone(page)).unwrap_or(TimeZone::UTC);
        let formats = formats(&page.config().recipient.locale).ok();
        Times { now: page.context.clock.now(), zone, formats }
    }

    /// A moment as a text.
    pub fn text(&self, at: Timestamp) -> String {
        self.text_in(at, &self.zone)
    }

    /// The same by another clock.
    pub fn text_in(&self, at: Timestamp, zone: &TimeZone) -> String {
        let wall = at.to_zoned(zone.clone()).datetime();
        let year = self.now.to_zoned(zone.clone()).year();
        let text = self.formats.as_ref().and_then(|formats| formats.moment(wall, year).ok());
        text.unwrap_or_else(|| wall.strftime("%Y-%m-%d %H:%M").to_string())
    }

    /// A moment, and how far away it is.
    pub fn at(&self, at: Timestamp) -> Markup {
        let away = match self.now.duration_since(at) {
            past if past.is_negative() => format!("in {}", length(past.abs())),
            past => format!("{} ago", length(past)),
        };
        html! {
            time datetime=(at) title=(at.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M:%S %Z")) { (self.text(at)) }
            " " span.ago { "(" (away) ")" }
        }
    }

    /// How long ago a moment was, the moment beside it.
    pub fn since(&self, at: Timestamp) -> Markup {
        html! {
            span { (length(self.now.duration_since(at))) } " "
            span.ago { "(since " time datetime=(at) { (self.text(at)) } ")" }
        }
    }

    pub fn number(&self, number: i64) -> String {
        let text =
            self.formats.as_ref().and_then(|formats| formats.number(&Decimal::from(number)).ok());
        text.unwrap_or_else(|| number.to_string())
    }
}
