//! The body of `sendTemplate`, read without copying where it needs no copy.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use serde_json::{Map, Value};

/// What a client may send. Unknown fields are ignored, as the provider does.
#[derive(Debug, Default, Deserialize)]
pub struct SendRequest<'a> {
    #[serde(borrow, default)]
    pub phone: Option<PhoneField<'a>>,
    #[serde(borrow, default, rename = "chatId")]
    pub chat_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub template: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub namespace: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub language: Option<Language<'a>>,
    #[serde(borrow, default)]
    pub params: Option<Vec<Component<'a>>>,
    /// Seen to work beside the documented query parameter.
    #[serde(borrow, default)]
    pub token: Option<Cow<'a, str>>,
    #[serde(default, rename = "messageSendTtlSeconds")]
    pub ttl: Option<i64>,
}

#[derive(Debug, Deserialize)]
pub struct Language<'a> {
    #[serde(borrow, default)]
    pub policy: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub code: Option<Cow<'a, str>>,
}

#[derive(Debug, Deserialize)]
pub struct Component<'a> {
    #[serde(borrow, default, rename = "type")]
    pub kind: Cow<'a, str>,
    #[serde(borrow, default)]
    pub parameters: Vec<Parameter<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct Parameter<'a> {
    #[serde(borrow, default, rename = "type")]
    pub kind: Cow<'a, str>,
    #[serde(borrow, default)]
    pub text: Option<Cow<'a, str>>,
}

impl AsRef<str> for Parameter<'_> {
    fn as_ref(&self) -> &str {
        self.text.as_deref().unwrap_or_default()
    }
}

/// A phone number as text; the older SDK sends it as a number.
#[derive(Debug, PartialEq)]
pub struct PhoneField<'a>(pub Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for PhoneField<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<PhoneField<'a>, D::Error> {
        from.deserialize_any(PhoneVisitor)
    }
}

struct PhoneVisitor;

impl<'de> Visitor<'de> for PhoneVisitor {
    type Value = PhoneField<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a phone number")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<PhoneField<'de>, E> {
        Ok(PhoneField(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<PhoneField<'de>, E> {
        Ok(PhoneField(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<PhoneField<'de>, E> {
        Ok(PhoneField(Cow::Owned(number.to_string())))
    }
}

/// What is wrong with a body as a whole.
#[derive(Debug, PartialEq)]
pub enum BadBody {
    NotJson,
    /// JSON of another shape, and what the reader says of it.
    WrongShape(String),
}

impl<'a> SendRequest<'a> {
    pub fn parse(body: &'a [u8]) -> Result<SendRequest<'a>, BadBody> {
        serde_json::from_slice(body).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => BadBody::WrongShape(error.to_string()),
            _ => BadBody::NotJson,
        })
    }
}

/// Turns a form (`a=b&c=d`) into JSON: fields that hold JSON objects or lists are taken as such.
pub fn form_to_json(body: &[u8]) -> Vec<u8> {
    let mut fields = Map::new();
    for (name, text) in query_pairs(&String::from_utf8_lossy(body)) {
        let nested = match text.as_bytes().first() {
            Some(b'{' | b'[') => serde_json::from_str(&text).ok(),
            _ => None,
        };
        fields.insert(name, nested.unwrap_or(Value::String(text)));
    }
    Value::Object(fields).to_string().into_bytes()
}

/// The decoded pairs of a query or a form.
pub fn query_pairs(query: &str) -> Vec<(String, String)> {
    let Ok(mut url) = reqwest::Url::parse("http://sandbox/") else {
        return Vec::new();
    };
    url.set_query(Some(query));
    url.query_pairs().into_owned().collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_form_reads_like_json() {
        let form = b"phone=12025550199&template=t&language=%7B%22code%22%3A%22en%22%7D&namespace=n";
        let json = form_to_json(form);
        let request = SendRequest::parse(&json).unwrap();
        assert_eq!(request.phone.unwrap().0, "12025550199");
        assert_eq!(request.language.unwrap().code.unwrap(), "en");
    }

    #[test]
    fn a_phone_may_be_a_number() {
        let request = SendRequest::parse(br#"{"phone":12025550199}"#).unwrap();
        assert_eq!(request.phone.unwrap().0, "12025550199");
    }

    #[test]
    fn parameters_as_plain_strings_are_json_of_the_wrong_shape() {
        let body = br#"{"params":["Maria","delivery"]}"#;
        assert!(matches!(SendRequest::parse(body), Err(BadBody::WrongShape(_))));
        assert_eq!(SendRequest::parse(b"{").unwrap_err(), BadBody::NotJson);
    }
}
