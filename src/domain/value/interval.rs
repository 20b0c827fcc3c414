//! Intervals as PostgreSQL writes them in its default style: `1 year 2 mons -3 days 04:05:06.5`.

const SECOND: i128 = 1_000_000;
const DAY: i128 = 86_400 * SECOND;

/// The length in microseconds, by PostgreSQL's own rule of comparison: a month has 30 days, a day
/// 24 hours. None for other styles, which are compared as they are written.
pub fn microseconds(text: &str) -> Option<i128> {
    let mut total = 0;
    let mut words = text.split_whitespace().peekable();
    words.peek()?;
    while let Some(word) = words.next() {
        if word.contains(':') {
            total += clock(word)?;
            continue;
        }
        let count: i128 = word.parse().ok()?;
        let unit = match words.next()?.trim_end_matches('s') {
            "year" => 360 * DAY,
            "mon" => 30 * DAY,
            "day" => DAY,
            _ => return None,
        };
        total += count * unit;
    }
    Some(total)
}

fn clock(text: &str) -> Option<i128> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut parts = text.split(':');
    let hours: i128 = parts.next()?.parse().ok()?;
    let minutes: i128 = parts.next()?.parse().ok()?;
    let seconds = parts.next().unwrap_or("0");
    let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
    let micros: i128 = format!("{fraction:0<6}").get(..6)?.parse().ok()?;
    let seconds: i128 = whole.parse().ok()?;
    Some(sign * (((hours * 60 + minutes) * 60 + seconds) * SECOND + micros))
}

#[cfg(test)]
mod tests {
    use super::microseconds;

    #[test]
    fn intervals_are_compared_by_their_length() {
        assert_eq!(microseconds("1 day"), microseconds("24:00:00"));
        assert_eq!(microseconds("1 mon"), microseconds("30 days"));
        assert_eq!(microseconds("-1 days +02:03:04.5"), Some(-86_400_000_000 + 7_384_500_000));
        assert_eq!(microseconds("1 year 2 mons"), microseconds("14 mons"));
        assert_eq!(microseconds("PT1H"), None);
        assert_eq!(microseconds(""), None);
    }
}
