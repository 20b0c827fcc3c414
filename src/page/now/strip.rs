//! The last hour as a picture: a column for each minute, in four rows.

use maud::{Markup, PreEscaped, html};

use crate::page::times::Times;
use crate::postgres::page::overview::MinuteCounts;

const MINUTES: i32 = 60;
const COLUMN: f64 = 10.0;
const LEFT: f64 = 90.0;
const ROW: f64 = 34.0;

type Count = fn(&MinuteCounts) -> i64;

const ROWS: [(&str, Count); 4] = [
    ("changes", |minute| minute.changes),
    ("sent", |minute| minute.sent),
    ("delivered", |minute| minute.delivered),
    ("failed", |minute| minute.failed),
];

/// The picture, and the same as a sentence for those who do not see it.
pub fn strip(minutes: &[MinuteCounts], times: &Times) -> Markup {
    let total = |count: Count| minutes.iter().map(count).sum::<i64>();
    let parts = ROWS.map(|(name, count)| format!("{} {name}", times.number(total(count))));
    let sentence = format!("Within the last hour: {}.", parts.join(", "));
    let width = LEFT + f64::from(MINUTES) * COLUMN;
    let height = ROW * ROWS.len() as f64 + 4.0;
    html! {
        svg viewBox=(format!("0 0 {width} {height}")) role="img" aria-label=(sentence) {
            @for (at, (name, count)) in ROWS.iter().enumerate() {
                (row(minutes, name, *count, ROW * (at as f64 + 1.0), width))
            }
        }
        p.hint { (sentence) " Messages that were opened within the last three hours; the present is on the right." }
    }
}

fn row(minutes: &[MinuteCounts], name: &str, count: Count, bottom: f64, width: f64) -> Markup {
    let most = minutes.iter().map(count).max().unwrap_or(0).max(1);
    let bars = minutes.iter().filter(|minute| count(minute) > 0).map(|minute| {
        let height = (ROW - 8.0) * count(minute) as f64 / most as f64;
        let x = LEFT + f64::from(MINUTES - 1 - minute.minutes_ago) * COLUMN;
        let (y, inner) = (bottom - height.max(1.0), COLUMN - 2.0);
        let height = height.max(1.0);
        // Numbers and fixed words only.
        format!("<rect class=\"{name}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{inner}\" height=\"{height:.1}\"/>")
    });
    let bars: String = bars.collect();
    html! {
        text x="0" y=(bottom - 6.0) { (name) }
        line.axis x1=(LEFT) x2=(width) y1=(bottom + 0.5) y2=(bottom + 0.5) {}
        (PreEscaped(bars))
    }
}
