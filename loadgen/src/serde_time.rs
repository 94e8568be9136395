//! Times in documents: durations as seconds, instants as RFC 3339.

/// Durations as seconds, the unit that reports are read in; exact to the nanosecond up to 97 days, from where on a 64-bit
/// float does not tell two neighbouring ones apart.
pub(crate) mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(duration.as_secs_f64())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}

/// Instants as text that people and every language's date parser read.
pub(crate) mod rfc3339 {
    use std::time::SystemTime;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(time: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&humantime::format_rfc3339_millis(*time))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SystemTime, D::Error> {
        humantime::parse_rfc3339(&String::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}

/// Instants as the same text to the nanosecond, for what is read back and calculated with.
pub(crate) mod rfc3339_exact {
    use std::time::SystemTime;

    use serde::Serializer;

    pub(crate) use crate::serde_time::rfc3339::deserialize;

    pub(crate) fn serialize<S: Serializer>(time: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&humantime::format_rfc3339_nanos(*time))
    }
}
