//! Durations as `"20s"` or `"1h 30m"`, rates as `"80/s"`.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

use jiff::{Span, SpanRelativeTo};
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

/// Networks such as `10.0.0.0/8`, or single addresses.
pub fn networks<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<IpNet>, D::Error> {
    let texts = Vec::<String>::deserialize(from)?;
    let network = |text: String| {
        let address = || text.parse().map(|address: IpAddr| address.into()).ok();
        text.parse().ok().or_else(address).ok_or_else(|| {
            D::Error::custom(format!(
                "expected a network such as \"10.0.0.0/8\", or an address, found \"{text}\""
            ))
        })
    };
    texts.into_iter().map(network).collect()
}

/// How long something is kept; `never` and `0` mean that it does not go.
pub fn age<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(from)?;
    if matches!(text.trim(), "never" | "0") {
        return Ok(None);
    }
    let age = parse_duration(&text).ok_or_else(|| {
        D::Error::custom(format!(
            "expected an age such as \"90d\" or \"2y\", or \"never\", found \"{text}\""
        ))
    })?;
    Ok(Some(age).filter(|age| !age.is_zero()))
}

/// Reads a duration such as `20s`; the error says what was expected.
pub fn duration_of(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| {
        format!(
            "expected a duration such as \"250ms\", \"20s\", \"5m\", \"12h\" or \"30d\", found \"{text}\""
        )
    })
}

/// What is longer than a thousand years is as good as that, and no calendar reaches further back.
const LONGEST: Duration = Duration::from_secs(365_000 * 86_400);

/// A day has 24 hours, a month 30 days, a year 365.
fn parse_duration(text: &str) -> Option<Duration> {
    let span: Span = match text.trim().parse() {
        Ok(span) => span,
        Err(error) if error.is_range() => return Some(LONGEST),
        Err(_) => return None,
    };
    let days = i64::from(span.get_years()) * 365 + i64::from(span.get_months()) * 30;
    let exact = span.years(0).months(0);
    let exact: Duration =
        exact.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?.try_into().ok()?;
    let days = Duration::from_secs(u64::try_from(days).ok()?.saturating_mul(86_400));
    Some((exact + days).min(LONGEST))
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Rate, D::Error> {
        let text = String::deserialize(from)?;
        parse_rate(&text).ok_or_else(|| {
            D::Error::custom(format!(
                "expected a rate such as \"80/s\", \"600/m\" or \"1000/h\", found \"{text}\""
            ))
        })
    }
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

/// A number with its noun.
pub fn counted(number: usize, one: &str, several: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { several })
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
        assert_eq!(parse_duration("1h 30m"), Some(Duration::from_secs(5_400)));
        assert_eq!(parse_duration("30d"), Some(Duration::from_secs(30 * 86_400)));
        assert_eq!(parse_duration("2y"), Some(Duration::from_secs(730 * 86_400)));
        assert_eq!(parse_duration("99999999999d"), Some(LONGEST));
        assert_eq!(parse_duration("18446744073709551615ms"), None);
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
