//! Who may see a view, and who may post a form: a login, a right, and the token that only our own forms carry.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Form;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::HeaderMap;
use axum::http::header::{COOKIE, HOST, ORIGIN};
use axum::http::request::Parts;

use crate::page::answer::PageError;
use crate::page::session::{FORM_TOKEN, Visitor};
use crate::page::state::PageState;

/// The name of the cookie with the login.
pub const COOKIE_NAME: &str = "rowbell_page";

impl FromRequestParts<Arc<PageState>> for Visitor {
    type Rejection = PageError;

    async fn from_request_parts(
        parts: &mut Parts,
        page: &Arc<PageState>,
    ) -> Result<Visitor, PageError> {
        let now = page.context.clock.now();
        let sealed = cookie(&parts.headers).ok_or(PageError::LoginNeeded)?;
        page.keys.opened(sealed, now).ok_or(PageError::LoginNeeded)
    }
}

/// The login that a browser sent, sealed as it is.
fn cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';'));
    pairs.find_map(|pair| {
        pair.trim().strip_prefix(COOKIE_NAME).and_then(|value| value.strip_prefix('='))
    })
}

/// A browser says from which site a form comes. Another site than ours may not post one.
pub fn is_from_here(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if text("sec-fetch-site").is_some_and(|site: &str| site != "same-origin" && site != "none") {
        return false;
    }
    let host = |origin: &str| origin.split_once("://").map(|(_, host)| host.to_owned());
    match text(ORIGIN.as_str()) {
        None => true,
        Some(origin) => host(origin).as_deref() == text(HOST.as_str()),
    }
}

/// The fields of a form, by name.
#[derive(Debug, Default)]
pub struct Fields(BTreeMap<String, String>);

impl Fields {
    /// A field that is filled in.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|text| text.trim()).filter(|text| !text.is_empty())
    }

    /// A field that has to be filled in.
    pub fn needed(&self, name: &'static str) -> Result<&str, PageError> {
        self.text(name).ok_or(PageError::Field(name))
    }

    pub fn each(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, text)| (name.as_str(), text.as_str()))
    }
}

/// A form of a visitor who may read, posted from a page of ours.
pub struct Asked {
    pub visitor: Visitor,
    pub fields: Fields,
}

/// A form of a visitor who may decide, posted from a page of ours.
pub struct Acted {
    pub visitor: Visitor,
    pub fields: Fields,
}

impl FromRequest<Arc<PageState>> for Asked {
    type Rejection = PageError;

    async fn from_request(request: Request, page: &Arc<PageState>) -> Result<Asked, PageError> {
        let (mut parts, body) = request.into_parts();
        let visitor = Visitor::from_request_parts(&mut parts, page).await?;
        let is_from_here = is_from_here(&parts.headers);
        let form =
            Form::<BTreeMap<String, String>>::from_request(Request::from_parts(parts, body), page);
        let Ok(Form(mut fields)) = form.await else { return Err(PageError::Form) };
        let token = fields.remove(FORM_TOKEN).unwrap_or_default();
        if !is_from_here || !page.keys.is_form_token(&visitor, &token) {
            return Err(PageError::ForeignForm);
        }
        Ok(Asked { visitor, fields: Fields(fields) })
    }
}

impl FromRequest<Arc<PageState>> for Acted {
    type Rejection = PageError;

    async fn from_request(request: Request, page: &Arc<PageState>) -> Result<Acted, PageError> {
        let Asked { visitor, fields } = Asked::from_request(request, page).await?;
        if !visitor.may_act() {
            return Err(PageError::MayOnlyRead);
        }
        Ok(Acted { visitor, fields })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_forms_of_our_own_pages_are_taken() {
        let headers = |pairs: &[(&'static str, &str)]| {
            let pairs =
                pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
            pairs.collect::<HeaderMap>()
        };
        let host = ("host", "127.0.0.1:8471");
        assert!(is_from_here(&headers(&[host])), "a program, or an old browser");
        assert!(is_from_here(&headers(&[host, ("origin", "http://127.0.0.1:8471")])));
        assert!(is_from_here(&headers(&[host, ("sec-fetch-site", "same-origin")])));
        assert!(!is_from_here(&headers(&[host, ("origin", "https://evil.example")])));
        assert!(!is_from_here(&headers(&[host, ("origin", "null")])));
        assert!(!is_from_here(&headers(&[host, ("sec-fetch-site", "cross-site")])));
        assert!(!is_from_here(&headers(&[host, ("sec-fetch-site", "same-site")])));
    }
}
