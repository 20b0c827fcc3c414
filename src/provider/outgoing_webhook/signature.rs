//! Signatures after the Standard Webhooks specification (https://www.standardwebhooks.com): HMAC-SHA256 over id, time and
//! body.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretSlice};
use sha2::Sha256;

/// A key that signs.
#[derive(Clone)]
pub struct SigningKey(Hmac<Sha256>);

impl SigningKey {
    /// A key may have any length.
    pub fn new(key: &SecretSlice<u8>) -> Option<SigningKey> {
        Hmac::new_from_slice(key.expose_secret()).map(SigningKey).ok()
    }

    fn sign(&self, id: &str, timestamp: i64, body: &str) -> String {
        let mut mac = self.0.clone();
        for part in [id, ".", &timestamp.to_string(), ".", body] {
            mac.update(part.as_bytes());
        }
        format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()))
    }
}

/// The header `webhook-signature`: one signature for each key.
pub fn signatures(keys: &[SigningKey], id: &str, timestamp: i64, body: &str) -> String {
    keys.iter().map(|key| key.sign(id, timestamp, body)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    const BODY: &str = r#"{"email":"test@example.com","username":"test_user"}"#;
    const ID: &str = "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk";

    fn key(secret: &str) -> SigningKey {
        let secret = secret.strip_prefix("whsec_").unwrap();
        SigningKey::new(&SecretSlice::from(BASE64_STANDARD.decode(secret).unwrap())).unwrap()
    }

    /// The vector of the specification's own libraries.
    #[test]
    fn it_signs_as_the_specification_says() {
        let signed = signatures(&[key(SECRET)], ID, 1_649_367_553, BODY);
        assert_eq!(signed, "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=");
    }

    /// While a key is replaced, an endpoint that knows either of them is content.
    #[test]
    fn the_official_library_verifies_what_is_signed_with_any_of_two_keys() {
        let second = format!("whsec_{}", BASE64_STANDARD.encode([7_u8; 32]));
        let keys = [key(&second), key(SECRET)];
        let now = crate::clock::Clock::system().now().as_second();
        let mut headers = axum::http::HeaderMap::new();
        headers.insert("webhook-id", ID.parse().unwrap());
        headers.insert("webhook-timestamp", now.to_string().parse().unwrap());
        headers.insert("webhook-signature", signatures(&keys, ID, now, BODY).parse().unwrap());
        for secret in [SECRET, &second] {
            let library = standardwebhooks::Webhook::new(secret).unwrap();
            library.verify(BODY.as_bytes(), &headers).unwrap();
            assert!(library.verify(b"{}", &headers).is_err());
        }
    }
}
