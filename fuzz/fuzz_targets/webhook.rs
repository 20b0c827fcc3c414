//! What strangers may post to the webhook: whatever it is, it is read without a panic, and what is read
//! of it is bounded and can be stored.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[allow(dead_code)]
#[path = "../../src/domain"]
mod domain {
    pub mod message {
        pub mod attempt;
        pub mod receipt;
    }
    pub mod reply;
}

#[allow(dead_code)]
#[path = "../../src/provider"]
mod provider {
    pub mod error_table;
    pub mod onemsg {
        pub mod error_payload;
        pub mod webhook_payload;
    }
}

use domain::message::receipt::Receipt;
use provider::onemsg::webhook_payload;

fuzz_target!(|body: &[u8]| {
    if let Ok(delivered) = webhook_payload::parse(body) {
        delivered.receipts.iter().for_each(storable);
        assert!(delivered.receipts.len() <= 10_000 && delivered.messages.len() <= 10_000);
        let _ = delivered.is_test();
    }
    // The same items are the answer to a question about one message.
    if let Ok(answer) = serde_json::from_slice(body) {
        webhook_payload::receipts(&answer, "wamid.asked").iter().for_each(storable);
    }
});

/// PostgreSQL takes no NUL, and evidence is bounded.
fn storable(receipt: &Receipt) {
    let bounded = |text: &str, most: usize| {
        assert!(!text.contains('\0') && text.chars().count() <= most);
    };
    bounded(&receipt.provider_message_id, 255);
    bounded(&receipt.raw, 2_000);
    for text in [&receipt.error_title, &receipt.error_text].into_iter().flatten() {
        bounded(text, 500);
    }
    let is_digits = |phone: &String| phone.len() <= 15 && phone.bytes().all(|b| b.is_ascii_digit());
    assert!(receipt.phone.as_ref().is_none_or(is_digits));
}
