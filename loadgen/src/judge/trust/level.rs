//! What a document says its figures are worth: a level and the reasons for it.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a run's figures are worth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "Saved", into = "Saved")]
pub struct Trust {
    /// How far they may be believed.
    pub level: Level,
    /// Why not further; empty where they are valid.
    pub reasons: Vec<String>,
    /// What to know when reading the figures; no reason to distrust them.
    pub notes: Vec<String>,
}

/// How far figures may be believed, from the best to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// The run measured what it was asked to.
    Valid,
    /// The generator was late itself: latencies lie in intervals, and what those decide is decided.
    Bounded,
    /// It did not measure what it was asked to.
    NotValid,
}

/// As in JSON.
impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Valid => "valid",
            Self::Bounded => "bounded",
            Self::NotValid => "not-valid",
        })
    }
}

/// [`Trust`] as documents have it. `fathom/run/v1` began without `level`; its `valid` says whether figures may be taken as
/// they stand, which bounds may not.
#[derive(Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Trust")]
struct Saved {
    valid: bool,
    #[serde(default)]
    level: Option<Level>,
    reasons: Vec<String>,
    notes: Vec<String>,
}

impl Trust {
    /// Valid, or not valid for these reasons.
    pub fn unless(reasons: Vec<String>, notes: Vec<String>) -> Self {
        let level = if reasons.is_empty() { Level::Valid } else { Level::NotValid };
        Self { level, reasons, notes }
    }

    /// Whether the figures may be taken as they stand.
    pub fn is_valid(&self) -> bool {
        self.level == Level::Valid
    }

    /// Whether latencies are bounds.
    pub fn is_bounded(&self) -> bool {
        self.level == Level::Bounded
    }
}

impl From<Saved> for Trust {
    fn from(saved: Saved) -> Self {
        let Saved { valid, level, reasons, notes } = saved;
        let level = level.unwrap_or(if valid { Level::Valid } else { Level::NotValid });
        Self { level, reasons, notes }
    }
}

impl From<Trust> for Saved {
    fn from(trust: Trust) -> Self {
        let Trust { level, reasons, notes } = trust;
        Self { valid: level == Level::Valid, level: Some(level), reasons, notes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_saved_without_a_level_has_one() {
        for (saved, level) in [
            (r#"{"valid": true, "reasons": [], "notes": []}"#, Level::Valid),
            (r#"{"valid": false, "reasons": ["late"], "notes": []}"#, Level::NotValid),
            (r#"{"valid": false, "level": "bounded", "reasons": ["late"], "notes": []}"#, Level::Bounded),
        ] {
            let trust: Trust = serde_json::from_str(saved).unwrap();
            assert_eq!(trust.level, level);
            let written = serde_json::to_value(&trust).unwrap();
            assert_eq!(written["valid"], level == Level::Valid);
            assert_eq!(serde_json::from_value::<Trust>(written).unwrap(), trust);
        }
    }

    #[test]
    fn of_several_levels_the_worst_is_the_greatest() {
        assert!(Level::Valid < Level::Bounded && Level::Bounded < Level::NotValid);
    }
}
