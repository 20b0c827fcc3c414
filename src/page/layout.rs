//! The frame of every view.

use maud::{DOCTYPE, Markup, html};
use strum::{IntoStaticStr, VariantArray};

use crate::page::assets::{SCRIPT_PATH, STYLE_PATH};
use crate::page::session::{FORM_TOKEN, Visitor};
use crate::page::state::PageState;

/// The views that the menu names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(const_into_str)]
pub enum View {
    Now,
    Messages,
    #[strum(serialize = "Holds and doubts")]
    Holds,
    Figures,
    Watches,
}

impl View {
    fn path(self) -> &'static str {
        match self {
            View::Now => "/now",
            View::Messages => "/messages",
            View::Holds => "/holds",
            View::Figures => "/figures",
            View::Watches => "/watches",
        }
    }
}

/// A view in its frame.
pub fn framed(
    page: &PageState,
    visitor: &Visitor,
    view: View,
    title: &str,
    main: &Markup,
) -> Markup {
    let environment = &page.config().installation.environment;
    document(
        &format!("{title} · {environment}"),
        &html! {
            header {
                a.skip href="#main" { "To the content" }
                div.brand { strong { "rowbell" } " " span.environment { (environment) } }
                nav aria-label="Views" {
                    ul {
                        @for other in View::VARIANTS {
                            li {
                                a href=(other.path()) aria-current=[(*other == view).then_some("page")] { (other.into_str()) }
                            }
                        }
                    }
                }
                form.visitor method="post" action="/logout" {
                    (form_token(page, visitor))
                    span { (visitor.name) @if !visitor.may_act() { " (may read)" } }
                    " "
                    button type="submit" { "Log out" }
                }
            }
            main #main { (main) }
            footer {
                p {
                    "Times in " (zone(page)) "."
                    " Phones and names are masked until you ask for them; that you asked is recorded."
                }
            }
        },
    )
}

/// The time zone of the site.
pub fn zone(page: &PageState) -> &str {
    match page.config().recipient.time_zone.as_str() {
        "" => "UTC",
        zone => zone,
    }
}

/// A page without a menu, for those who have not logged in.
pub fn bare(title: &str, main: &Markup) -> Markup {
    document(title, &html! { main #main.bare { (main) } })
}

fn document(title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex";
                title { (title) " · rowbell" }
                link rel="icon" href="data:,";
                link rel="stylesheet" href=(*STYLE_PATH);
                script src=(*SCRIPT_PATH) defer {}
            }
            body { (body) }
        }
    }
}

/// The field that shows that a form is ours.
pub fn form_token(page: &PageState, visitor: &Visitor) -> Markup {
    html! { input type="hidden" name=(FORM_TOKEN) value=(page.keys.form_token(visitor)); }
}
