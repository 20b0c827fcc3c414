//! Figures as a picture: one row of bars for each thing that is counted, one column for each day or week.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};

use crate::postgres::page::figure_rows::{FigureQuery, FigureRows};

const LEFT: f64 = 130.0;
const WIDTH: f64 = 720.0;
const ROW: f64 = 44.0;
const FOOT: f64 = 18.0;

/// When, what, how many.
type Point = (String, String, f64);

fn points(figure: &FigureQuery, found: &FigureRows) -> Vec<Point> {
    let number = |cell: &Option<String>| cell.as_ref().and_then(|text| text.parse::<f64>().ok());
    let mut points = Vec::new();
    for row in &found.rows {
        let Some(when) = row.first().cloned().flatten() else { continue };
        if figure.is_by_word {
            let word = row.get(1).cloned().flatten().unwrap_or_default();
            points.extend(row.get(2).and_then(number).map(|n| (when, word, n)));
            continue;
        }
        let cells = found.columns.iter().zip(row).skip(1);
        points.extend(
            cells.filter_map(|(name, cell)| Some((when.clone(), name.clone(), number(cell)?))),
        );
    }
    points
}

/// The picture. The table beside it says the same.
pub fn chart(figure: &FigureQuery, found: &FigureRows) -> Markup {
    let points = points(figure, found);
    let times: Vec<String> = points
        .iter()
        .map(|(when, _, _)| when.clone())
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    let mut series: BTreeMap<&str, Vec<(usize, f64)>> = BTreeMap::new();
    for (when, what, number) in &points {
        let at = times.iter().position(|time| time == when).unwrap_or_default();
        series.entry(what).or_default().push((at, *number));
    }
    let names: Vec<&str> = if figure.is_by_word {
        series.keys().copied().collect()
    } else {
        found.columns.iter().skip(1).map(String::as_str).collect()
    };
    let height = ROW * names.len() as f64 + FOOT;
    let column = WIDTH / times.len().max(1) as f64;
    html! {
        svg viewBox=(format!("0 0 {} {height}", LEFT + WIDTH)) role="img" aria-label={ (figure.title()) " The table below says the same." } {
            @for (row, name) in names.iter().enumerate() {
                @let bottom = ROW * (row as f64 + 1.0);
                @let values = series.get(name).map_or(&[][..], |values| values);
                @let most = values.iter().map(|(_, number)| *number).fold(0.0, f64::max);
                text x="0" y=(bottom - 20.0) { (name) }
                text x="0" y=(bottom - 6.0) { "up to " (short(most)) }
                line.axis x1=(LEFT) x2=(LEFT + WIDTH) y1=(bottom) y2=(bottom) {}
                @for (at, number) in values.iter().filter(|(_, number)| *number > 0.0) {
                    @let bar = (ROW - 10.0) * number / most;
                    rect.sent x=(format!("{:.1}", LEFT + *at as f64 * column + 1.0)) y=(format!("{:.1}", bottom - bar))
                        width=(format!("{:.1}", (column - 2.0).clamp(1.0, 40.0))) height=(format!("{bar:.1}")) {}
                }
            }
            @if let (Some(first), Some(last)) = (times.first(), times.last()) {
                text x=(LEFT) y=(height - 4.0) { (first) }
                @if first != last { text x=(LEFT + WIDTH) y=(height - 4.0) text-anchor="end" { (last) } }
            }
        }
    }
}

fn short(number: f64) -> String {
    if number.fract() == 0.0 { format!("{number:.0}") } else { format!("{number:.1}") }
}
