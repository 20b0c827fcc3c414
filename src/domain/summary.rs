//! The difference in words.

use serde::Deserialize;

use super::change::Operation;
use super::text::LocalText;

/// One `[[watch.….say]]`: which changes it speaks of, and how.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SayRule {
    /// Fires when any of these columns changed; speaks for all of them. Empty: any change.
    #[serde(default)]
    pub when: Vec<String>,
    /// Fires only for this operation.
    pub operation: Option<Operation>,
    /// Fires only when these columns now have these values, and had others before.
    #[serde(default)]
    pub becomes: std::collections::BTreeMap<String, serde_json::Value>,
    /// MiniJinja template.
    pub text: Option<LocalText>,
}
