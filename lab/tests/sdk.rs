//! 1MSG's own SDK as an independent client of the sandbox: what the provider's code sends and
//! reads is what the sandbox takes and answers. The SDK is the one for Python, installed by
//! scripts/test; see lab/tests/sdk/requirements.txt for why not the one for Rust.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::Command;

use rowbell_lab::sandbox::template::NAMESPACE;
use rowbell_lab::sandbox::{ReceiptOptions, Sandbox, SandboxOptions};
use serde_json::{Value, json};

const PHONE: &str = "12025550143";
const WEBHOOK: &str = "https://example.com/webhook/secret";

fn report(sandbox: &Sandbox) -> Value {
    let python = std::env::var_os("ROWBELL_SDK_PYTHON").expect(
        "this test needs 1MSG's SDK: run scripts/test, which installs it and says where it is",
    );
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sdk/contract.py");
    let base_url = format!("{}/ODI371267300", sandbox.url());
    let output = Command::new(python)
        .args([script, &base_url, "sandbox-token", NAMESPACE, PHONE, WEBHOOK])
        // A proxy has no business between two programs on one machine.
        .env("NO_PROXY", "127.0.0.1")
        .output()
        .expect("ROWBELL_SDK_PYTHON names a Python that runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the SDK does not like the sandbox: {stderr}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_official_sdk_lists_templates_sends_and_sets_the_webhook() {
    let options = SandboxOptions { receipts: ReceiptOptions::none(), ..SandboxOptions::default() };
    let sandbox = Sandbox::start(options).unwrap();
    let report = report(&sandbox);

    assert_eq!(report["total"], 2);
    let english = json!(["service_change", NAMESPACE, "en", "approved"]);
    assert_eq!(report["templates"][0], english);
    assert_eq!(report["status"], "connected");
    assert_eq!(report["vertical"], "Other");

    assert_eq!(report["webhook_before"], "");
    assert_eq!(report["webhook_set"], json!({ "set": true, "message": WEBHOOK }));
    assert_eq!(report["webhook_after"], WEBHOOK);

    let seen = sandbox.seen(PHONE);
    assert_eq!(seen.len(), 1, "what was refused was not sent");
    assert_eq!(report["sent"]["sent"], true);
    assert_eq!(report["sent"]["id"], seen[0].id.as_str());
    assert!(seen[0].text.starts_with("Hello, Maria! The status of your home delivery"));

    assert_eq!(report["wrong_token"]["status"], 401);
    assert!(report["wrong_token"]["body"]["error"].as_str().unwrap().starts_with("Wrong token"));
    let refused = |call: &str| {
        (report[call]["status"].clone(), report[call]["body"]["error"]["code"].clone())
    };
    assert_eq!(refused("no_namespace"), (json!(422), json!(131008)));
    assert_eq!(refused("no_parameters"), (json!(422), json!(132000)));
}
