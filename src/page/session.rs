//! Who looks, and what they may: a login as a signed cookie. Nothing of it is stored, so every daemon with the same
//! tokens knows a visitor, and a new token ends what was logged in with the old one.

use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::config::PageSettings;
use crate::config::secret::{SecretError, page_token};
use crate::domain::person_act::PersonActWay;
use crate::domain::value::hex::{hex, unhex};
use crate::postgres::operations::person_acts::ActingPerson;

/// The name of the field with the token of a form.
pub const FORM_TOKEN: &str = "form_token";

/// Why the page cannot know its visitors.
#[derive(Debug, thiserror::Error)]
pub enum SessionKeysError {
    #[error(
        "page.listen is set, but page.read_token_file is not: anybody could read whom you wrote to"
    )]
    NoReadToken,
    #[error("could not use {setting}")]
    Token { setting: &'static str, source: SecretError },
    #[error(
        "page.read_token_file and page.act_token_file hold the same token: who may read could decide"
    )]
    SameToken,
}

/// What a visitor may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VisitorRight {
    Read,
    /// Read, and decide.
    Act,
}

/// Somebody who has logged in.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// As they gave it themselves.
    pub name: String,
    pub right: VisitorRight,
    expires_at: Timestamp,
    /// Another one for each login.
    nonce: String,
}

impl Visitor {
    pub fn may_act(&self) -> bool {
        self.right == VisitorRight::Act
    }

    /// As what they decided is recorded.
    pub fn signature(&self) -> String {
        format!("{} (page)", self.name)
    }

    /// Who acts.
    pub fn acting(&self) -> ActingPerson {
        ActingPerson { by: self.signature(), os_user: None, way: PersonActWay::Page }
    }

    pub fn is_expired(&self, now: Timestamp) -> bool {
        now >= self.expires_at
    }
}

/// The tokens, and the key with which logins are signed.
pub struct SessionKeys {
    read: SecretString,
    act: Option<SecretString>,
    key: Hmac<Sha256>,
}

impl SessionKeys {
    /// Reads the tokens.
    pub fn read(settings: &PageSettings) -> Result<SessionKeys, SessionKeysError> {
        let token = |setting, file| {
            page_token(file).map_err(|source| SessionKeysError::Token { setting, source })
        };
        let read = settings.read_token_file.as_ref().ok_or(SessionKeysError::NoReadToken)?;
        let read = token("page.read_token_file", read)?;
        let act = settings.act_token_file.as_ref();
        let act = act.map(|file| token("page.act_token_file", file)).transpose()?;
        if act.as_ref().is_some_and(|act| act.expose_secret() == read.expose_secret()) {
            return Err(SessionKeysError::SameToken);
        }
        let exposed = |token: &SecretString| Sha256::digest(token.expose_secret().as_bytes());
        let mut seed = Sha256::new_with_prefix("rowbell page\0");
        seed.update(exposed(&read));
        seed.update(act.as_ref().map(exposed).unwrap_or_default());
        let mut key = hmac::digest::Key::<Hmac<Sha256>>::default();
        key.iter_mut().zip(seed.finalize()).for_each(|(part, byte)| *part = byte);
        let key = Hmac::new(&key);
        Ok(SessionKeys { read, act, key })
    }

    /// What a token opens.
    pub fn right_of(&self, token: &str) -> Option<VisitorRight> {
        // Both are compared, so that the time says nothing.
        let is = |known: &SecretString| {
            bool::from(known.expose_secret().as_bytes().ct_eq(token.as_bytes()))
        };
        let is_act = self.act.as_ref().is_some_and(is);
        match (is(&self.read), is_act) {
            (_, true) => Some(VisitorRight::Act),
            (true, false) => Some(VisitorRight::Read),
            (false, false) => None,
        }
    }

    /// A new login.
    pub fn admit(&self, name: &str, right: VisitorRight, expires_at: Timestamp) -> Visitor {
        let nonce = format!("{:032x}", rand::random::<u128>());
        Visitor { name: name.to_owned(), right, expires_at, nonce }
    }

    /// The login as the browser keeps it.
    pub fn sealed(&self, visitor: &Visitor) -> String {
        let right = if visitor.may_act() { "act" } else { "read" };
        let expires_at = visitor.expires_at.as_second();
        let body =
            format!("{right}.{expires_at}.{}.{}", visitor.nonce, hex(visitor.name.as_bytes()));
        let seal = self.seal("session", &body);
        format!("{body}.{seal}")
    }

    /// The login that a browser sent; None: it is not of ours, or over.
    pub fn opened(&self, sealed: &str, now: Timestamp) -> Option<Visitor> {
        let (body, seal) = sealed.rsplit_once('.')?;
        if !bool::from(self.seal("session", body).as_bytes().ct_eq(seal.as_bytes())) {
            return None;
        }
        let [right, expires_at, nonce, name] =
            body.split('.').collect::<Vec<_>>().try_into().ok()?;
        let right = match right {
            "act" => VisitorRight::Act,
            "read" => VisitorRight::Read,
            _ => return None,
        };
        let visitor = Visitor {
            name: String::from_utf8(unhex(name)?).ok()?,
            right,
            expires_at: Timestamp::from_second(expires_at.parse().ok()?).ok()?,
            nonce: nonce.to_owned(),
        };
        (!visitor.is_expired(now)).then_some(visitor)
    }

    /// What each form of a visitor carries: only our own pages know it.
    pub fn form_token(&self, visitor: &Visitor) -> String {
        self.seal("form", &visitor.nonce)
    }

    pub fn is_form_token(&self, visitor: &Visitor, token: &str) -> bool {
        self.form_token(visitor).as_bytes().ct_eq(token.as_bytes()).into()
    }

    fn seal(&self, purpose: &str, text: &str) -> String {
        let mut mac = self.key.clone();
        mac.update(purpose.as_bytes());
        mac.update(b"\0");
        mac.update(text.as_bytes());
        hex(&mac.finalize().into_bytes())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::os::unix::fs::DirBuilderExt as _;

    fn keys(read: &str, act: &str) -> SessionKeys {
        let folder = std::env::temp_dir().join(format!(
            "rowbell-page-{}-{:x}",
            std::process::id(),
            rand::random::<u64>()
        ));
        std::fs::DirBuilder::new().mode(0o700).create(&folder).unwrap();
        let file = |name: &str, token: &str| {
            std::fs::write(folder.join(name), token).unwrap();
            Some(folder.join(name))
        };
        let settings = PageSettings {
            listen: String::new(),
            read_token_file: file("read", read),
            act_token_file: file("act", act),
            session: std::time::Duration::from_secs(60),
            networks: Vec::new(),
        };
        let keys = SessionKeys::read(&settings).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        keys
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_login_is_known_until_it_is_over_and_no_part_of_it_can_be_changed() {
        let keys_now = keys("read-token-1", "act-token-1");
        assert_eq!(keys_now.right_of("read-token-1"), Some(VisitorRight::Read));
        assert_eq!(keys_now.right_of("act-token-1"), Some(VisitorRight::Act));
        assert_eq!(keys_now.right_of("read-token-"), None);
        assert_eq!(keys_now.right_of(""), None);
        let visitor = keys_now.admit("María, desk 3", VisitorRight::Read, at(1_000));
        let sealed = keys_now.sealed(&visitor);
        assert!(sealed.chars().all(|c| c.is_ascii_alphanumeric() || c == '.'), "{sealed}");
        let known = keys_now.opened(&sealed, at(999)).unwrap();
        assert_eq!((known.name.as_str(), known.may_act()), ("María, desk 3", false));
        assert!(keys_now.opened(&sealed, at(1_000)).is_none(), "it is over");
        assert!(keys_now.opened(&sealed.replacen("read", "act", 1), at(1)).is_none());
        assert!(keys_now.opened(&sealed.replacen("1000", "9000", 1), at(1)).is_none());
        assert!(keys_now.opened("", at(1)).is_none() && keys_now.opened("....", at(1)).is_none());
        let token = keys_now.form_token(&visitor);
        assert!(keys_now.is_form_token(&known, &token) && !keys_now.is_form_token(&known, ""));
        let other = keys_now.admit("María", VisitorRight::Read, at(1_000));
        assert!(!keys_now.is_form_token(&other, &token), "the token of another login");
        let later = keys("read-token-1", "act-token-2");
        assert!(later.opened(&sealed, at(1)).is_none(), "a token was changed");
    }
}
