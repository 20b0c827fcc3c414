//! Quiet hours: which time zone the recipient lives in, when a message may leave, how long it is of use.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::domain::message::decision::Decision;
use crate::domain::message::state::WaitsFor;
use crate::domain::recipient::recipient::Recipient;
use crate::domain::recipient::time_zone::{ChosenZone, ZoneSource};
use crate::domain::value::moment;
use crate::pipeline::gate::gates::{GateInput, text_of};

impl GateInput<'_> {
    /// The zone that the recipient lives in: as the row says, the recipient query, the watch, or the
    /// configuration.
    pub fn time_zone(&self) -> ChosenZone<'_> {
        let recipient = self.case.recipient.as_ref();
        let row = self.present.time_zone.as_deref().map(str::trim).filter(|zone| !zone.is_empty());
        ChosenZone::of([
            (ZoneSource::Row, row),
            (ZoneSource::Recipient, text_of(recipient, "time_zone")),
            (ZoneSource::Watch, self.compiled.config.time_zone.as_deref()),
            (
                ZoneSource::Configuration,
                Some(self.defaults.time_zone.as_str()).filter(|zone| !zone.is_empty()),
            ),
        ])
    }

    /// Its rules.
    pub fn zone(&self) -> TimeZone {
        moment::zone(self.time_zone().name).unwrap_or(TimeZone::UTC)
    }

    /// After this moment the message is stale.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.present.expires_at.map(|at| at.in_zone(&self.zone()))
    }

    /// For how many seconds the message may wait for a phone that is off: what it tells is over then.
    pub fn time_to_live(&self) -> Option<u32> {
        let template = &self.route.template;
        let expires_at = self.expires_at().filter(|_| template.time_to_live)?;
        template.category.time_to_live(expires_at.duration_since(self.now))
    }

    /// Whether it is quiet now where the recipient lives. What leaves all the same is urgent.
    pub fn is_in_quiet_hours(&self, recipient: &Recipient) -> bool {
        let quiet = self.compiled.quiet_hours.as_ref();
        let zone = moment::zone(&recipient.time_zone).ok();
        quiet.zip(zone).is_some_and(|(quiet, zone)| quiet.opening(self.now, &zone).is_some())
    }

    /// Quiet hours of the recipient put a message off to their end, and never end it. It is put into words
    /// then, from the row as it is then.
    pub fn not_quiet(&self, recipient: &Recipient) -> Result<(), Decision> {
        let Some(quiet) = &self.compiled.quiet_hours else {
            return Ok(());
        };
        let Ok(zone) = moment::zone(&recipient.time_zone) else {
            return Ok(());
        };
        let about = self.present.about.or(self.present.expires_at);
        let about = about.map(|at| at.in_zone(&zone));
        let Some(wait) = quiet.wait(self.now, about, &zone) else {
            return Ok(());
        };
        // What was passed over stands with the words: a reason holds nothing that a row says.
        let (name, source) = (&recipient.time_zone, self.time_zone().source.into_str());
        let opening = zone.to_datetime(wait.opening).strftime("%Y-%m-%d %H:%M");
        let mut why = format!("quiet hours until {opening} in {name} (zone by {source})");
        if wait.until < wait.opening {
            why += "; it leaves earlier, because it is urgent then";
        }
        Err(Decision::defer(wait.until, WaitsFor::QuietHours, why))
    }
}
