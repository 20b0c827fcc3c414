//! Figures: each as a picture, as a table, as CSV, and with the query that made it.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{Html, IntoResponse as _, Response};
use maud::{Markup, html};

use crate::page::answer::{PageError, shown};
use crate::page::figures::chart::chart;
use crate::page::figures::read_figures::ReadFigures;
use crate::page::layout::{View, framed, zone};
use crate::page::session::Visitor;
use crate::page::state::PageState;
use crate::page::times::Times;
use crate::postgres::page::figure_rows::{self, FIGURES, FigureQuery, FigureRows};

pub async fn view(
    State(page): State<Arc<PageState>>,
    visitor: Visitor,
) -> Result<Html<String>, PageError> {
    let read = read(&page).await?;
    let times = Times::of(&page);
    let main = html! {
        h1 { "Figures" }
        p {
            "Of the last weeks, by the clock of " (zone(&page)) ". As of " (times.at(read.read_at))
            ". The queries run as they stand, in psql as in pandas."
        }
        @for (figure, rows) in FIGURES.iter().zip(&read.rows) { (one(figure, rows, zone(&page))) }
    };
    Ok(shown(framed(&page, &visitor, View::Figures, "Figures", &main)))
}

async fn read(page: &PageState) -> Result<Arc<ReadFigures>, PageError> {
    // Whoever comes while they are read waits for them, rather than ask a second time.
    let mut latest = page.figures.lock().await;
    let now = page.context.clock.now();
    if let Some(fresh) = latest.as_ref().filter(|latest| latest.is_fresh(now)) {
        return Ok(fresh.clone());
    }
    let mut client = page.database().await?;
    let mut rows = Vec::with_capacity(FIGURES.len());
    for figure in &FIGURES {
        rows.push(figure_rows::read(&mut client, figure, zone(page)).await?);
    }
    let read = Arc::new(ReadFigures { read_at: now, rows });
    *latest = Some(read.clone());
    Ok(read)
}

fn one(figure: &FigureQuery, found: &FigureRows, zone: &str) -> Markup {
    let title = format!("figure-{}", figure.name);
    html! {
        section aria-labelledby=(title) {
            h2 id=(title) { (figure.title()) }
            @if found.rows.is_empty() { p { "Nothing yet." } } @else {
                (chart(figure, found))
                details { summary { "As a table" } (table(found, &title)) }
            }
            details {
                summary { "The query" }
                pre tabindex="0" { code { "set time zone '" (zone) "';\n" (figure.sql()) ";" } }
            }
            p { a href={ "/figures/" (figure.name) ".csv" } { "CSV" } }
        }
    }
}

fn table(found: &FigureRows, title: &str) -> Markup {
    html! {
        div.wide tabindex="0" role="group" aria-labelledby=(title) {
            table {
                thead { tr { @for column in &found.columns { th scope="col" { (column) } } } }
                tbody {
                    @for row in &found.rows {
                        tr { @for cell in row { td { (cell.as_deref().unwrap_or("–")) } } }
                    }
                }
            }
        }
    }
}

pub async fn csv(
    State(page): State<Arc<PageState>>,
    _: Visitor,
    Path(file): Path<String>,
) -> Result<Response, PageError> {
    let name = file.strip_suffix(".csv");
    let figure =
        FIGURES.iter().find(|figure| Some(figure.name) == name).ok_or(PageError::NotFound)?;
    let mut client = page.database().await?;
    let csv = figure_rows::csv(&mut client, figure, zone(&page)).await?;
    let kept = format!("attachment; filename=\"{file}\"");
    Ok(([(CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()), (CONTENT_DISPOSITION, kept)], csv)
        .into_response())
}
