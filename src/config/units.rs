//! Durations as `"20s"`, rates as `"80/s"`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de::Error as _};

/// Messages a second; never zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate(f64);

impl Rate {
    /// `messages` must not be zero; zero counts as one.
    pub fn per_second(messages: u32) -> Rate {
        Rate(f64::from(messages.max(1)))
    }

    pub fn as_per_second(self) -> f64 {
        self.0
    }
}

pub fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(from)?;
    duration_of(&text).map_err(D::Error::custom)
}

/// For settings without a default.
pub fn some_duration<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    duration(from).map(Some)
}

/// How long something is kept: in days or years; `never` and `0` mean that it does not go.
pub fn age<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(from)?;
    parse_age(&text).ok_or_else(|| {
        D::Error::custom(format!(
            "expected an age such as \"90d\" or \"2y\", or \"never\", found \"{text}\""
        ))
    })
}

fn parse_age(text: &str) -> Option<Option<Duration>> {
    let text = text.trim();
    if matches!(text, "never" | "0") {
        return Some(None);
    }
    let days = match text.strip_suffix('y') {
        Some(years) => years.trim().parse::<u64>().ok()?.checked_mul(365)?,
        None => return parse_duration(text).map(|time| (!time.is_zero()).then_some(time)),
    };
    // A thousand years are for ever.
    Some((1..=365_000).contains(&days).then(|| Duration::from_secs(days * 86_400)))
}

/// For settings without a default.
pub fn some_rate<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Rate>, D::Error> {
    rate(from).map(Some)
}

/// Reads a duration such as `20s`; the error says what was expected.
pub fn duration_of(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| {
        format!(
            "expected a duration such as \"250ms\", \"20s\", \"5m\", \"12h\" or \"30d\", found \"{text}\""
        )
    })
}

pub fn rate<'de, D: Deserializer<'de>>(from: D) -> Result<Rate, D::Error> {
    let text = String::deserialize(from)?;
    parse_rate(&text).ok_or_else(|| {
        D::Error::custom(format!(
            "expected a rate such as \"80/s\", \"600/m\" or \"1000/h\", found \"{text}\""
        ))
    })
}

/// Seconds: what is longer than a thousand years is as good as that, and no calendar reaches further back.
const LONGEST: u64 = 365_000 * 86_400;

fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let count: u64 = text[..split].parse().ok()?;
    let seconds = match text[split..].trim() {
        "ms" => return Some(Duration::from_millis(count.min(LONGEST * 1_000))),
        "s" => 1,
        "m" | "min" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    Some(Duration::from_secs(count.saturating_mul(seconds).min(LONGEST)))
}

fn parse_rate(text: &str) -> Option<Rate> {
    let (count, unit) = text.split_once('/')?;
    let count: f64 = count.trim().parse().ok()?;
    let seconds = match unit.trim() {
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        _ => return None,
    };
    (count.is_finite() && count > 0.0).then_some(Rate(count / seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        assert_eq!(parse_duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(parse_duration("20s"), Some(Duration::from_secs(20)));
        assert_eq!(parse_duration("0s"), Some(Duration::ZERO));
        assert_eq!(parse_duration("2h"), Some(Duration::from_secs(7_200)));
        assert_eq!(parse_duration("99999999999d"), Some(Duration::from_secs(LONGEST)));
        assert_eq!(parse_duration("18446744073709551615ms"), Some(Duration::from_secs(LONGEST)));
        assert_eq!(parse_duration("20"), None);
        assert_eq!(parse_duration("-1s"), None);
        assert_eq!(parse_duration("s"), None);
    }

    #[test]
    fn rates_have_units_and_are_positive() {
        assert_eq!(parse_rate("80/s"), Some(Rate::per_second(80)));
        assert_eq!(parse_rate("60/m"), Some(Rate::per_second(1)));
        assert_eq!(parse_rate("0/s"), None);
        assert_eq!(parse_rate("80"), None);
        assert_eq!(parse_rate("1e400/s"), None);
    }
}
