//! The header `Retry-After`.

use std::time::Duration;

use reqwest::header::{DATE, HeaderMap, HeaderValue, RETRY_AFTER};

/// The longest wait that a provider is believed to mean.
const LONGEST: Duration = Duration::from_secs(24 * 3_600);

/// What the provider asks us to wait: seconds, or a date, which its own `Date` tells how far away it
/// is. More than a day is a mistake of the other side.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let asked = text(RETRY_AFTER)?.trim();
    let wait = match asked.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let moment = |text| jiff::fmt::rfc2822::parse(text).ok();
            let wait = moment(asked)?.timestamp().duration_since(moment(text(DATE)?)?.timestamp());
            Duration::try_from(wait).unwrap_or(Duration::ZERO)
        }
    };
    Some(wait.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_a_number_of_seconds_or_a_date() {
        let wait = |retry: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(retry));
            headers.insert(DATE, HeaderValue::from_static("Wed, 24 Jun 2026 09:00:00 GMT"));
            retry_after(&headers).map(|wait| wait.as_secs())
        };
        assert_eq!(wait(" 30 "), Some(30));
        assert_eq!(wait("Wed, 24 Jun 2026 09:02:00 GMT"), Some(120));
        assert_eq!(wait("Wed, 24 Jun 2026 08:00:00 GMT"), Some(0));
        assert_eq!(wait("99999999"), Some(86_400));
        assert_eq!(wait("soon"), None);
    }
}
