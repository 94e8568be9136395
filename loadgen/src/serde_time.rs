//! Times in documents: durations as seconds, instants as RFC 3339. Both types are named in `#[serde(with = "...")]`, and say
//! what a JSON schema has for them.

use std::time::{Duration, SystemTime};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

/// A duration in seconds.
#[derive(JsonSchema)]
#[schemars(inline, with = "f64", extend("minimum" = 0))]
pub(crate) enum Seconds {}

impl Seconds {
    pub(crate) fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(duration.as_secs_f64())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(from)?).map_err(D::Error::custom)
    }
}

/// An instant in UTC, as people and every date parser read it (RFC 3339).
#[derive(JsonSchema)]
#[schemars(inline, with = "String", extend("format" = "date-time"))]
pub(crate) enum Rfc3339 {}

impl Rfc3339 {
    pub(crate) fn serialize<S: Serializer>(time: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&humantime::format_rfc3339_millis(*time))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SystemTime, D::Error> {
        humantime::parse_rfc3339(&String::deserialize(from)?).map_err(D::Error::custom)
    }
}

/// An instant as the same text to the nanosecond, for what is read back and calculated with.
pub(crate) enum Rfc3339Exact {}

impl Rfc3339Exact {
    pub(crate) fn serialize<S: Serializer>(time: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&humantime::format_rfc3339_nanos(*time))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SystemTime, D::Error> {
        Rfc3339::deserialize(from)
    }
}
