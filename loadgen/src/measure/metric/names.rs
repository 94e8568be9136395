//! What metrics are called, written and read.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Distribution, Fate, Metric, Statistic};
use crate::measure::percentile::Rank;

/// The distributions that help, errors and documentation name.
pub const LISTED: [Distribution; 6] = [
    Distribution::Latency,
    Distribution::ServiceTime,
    Distribution::SendLag,
    Distribution::ReadLag,
    Distribution::Seen,
    Distribution::Connect,
];

/// A figure for people, by the metric's name; where no metric has that name, as number and unit.
pub fn show_named(metric: &str, unit: &str, figure: f64) -> String {
    metric.parse().map_or_else(|_| format!("{figure} {unit}"), |metric: Metric| metric.show(figure))
}

impl Metric {
    /// What comparisons and sweeps call it in JSON (`fathom/compare/v1`, `fathom/sweep/v1`) and in the formats for
    /// machines. Some names are older than the ones that metrics have now, and stay there for the sake of their readers.
    pub fn older_name(self) -> String {
        let older = OLDER_NAMES.into_iter().find(|(_, metric)| *metric == self);
        older.map_or_else(|| self.to_string(), |(name, _)| name.to_owned())
    }
}

/// The name by which flags and reports call it.
impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(distribution, statistic) => f.pad(&format!("{distribution}.{statistic}")),
            other => f.pad(PLAIN.into_iter().find(|(_, metric)| metric == other).expect("every other one is listed").0),
        }
    }
}

impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Latency => "latency",
            Self::ServiceTime => "service_time",
            Self::SendLag => "send_lag",
            Self::ReadLag => "read_lag",
            Self::Seen => "seen",
            Self::Connect => "connect",
        })
    }
}

impl fmt::Display for Statistic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Min => f.write_str("min"),
            Self::Mean => f.write_str("mean"),
            Self::Stdev => f.write_str("stdev"),
            Self::Percentile(rank) => write!(f, "p{rank}"),
            Self::Max => f.write_str("max"),
        }
    }
}

impl FromStr for Metric {
    type Err = String;

    /// Reads its name, and the older one that some have.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some((distribution, statistic)) = text.split_once('.')
            && let Some(distribution) = Distribution::named(distribution)
        {
            return statistic.parse().map(|statistic| Self::Time(distribution, statistic));
        }
        let named = PLAIN.into_iter().chain(OLDER_NAMES).find(|(name, _)| *name == text);
        named.map(|(_, metric)| metric).ok_or_else(|| {
            let distributions = list(&LISTED.map(|distribution| distribution.to_string()));
            let plain = list(&PLAIN.map(|(name, _)| name.to_owned()));
            format!("'{text}' is no metric; expected {distributions} with a statistic (latency.p99), or {plain}")
        })
    }
}

impl Distribution {
    fn named(name: &str) -> Option<Self> {
        LISTED.into_iter().chain([Self::ReadLag, Self::Seen]).find(|distribution| distribution.to_string() == name)
    }
}

impl FromStr for Statistic {
    type Err = String;

    /// Reads `p99.9`, `mean` and k6's `p(99.9)`, `avg` and `med`.
    fn from_str(text: &str) -> Result<Self, String> {
        let rank = text.strip_prefix('p').map(|rank| {
            let rank = rank.strip_prefix('(').and_then(|rank| rank.strip_suffix(')')).unwrap_or(rank);
            rank.parse().ok().and_then(Rank::new)
        });
        match (text, rank) {
            ("min", _) => Ok(Self::Min),
            ("mean" | "avg", _) => Ok(Self::Mean),
            ("stdev", _) => Ok(Self::Stdev),
            ("max", _) => Ok(Self::Max),
            ("med", _) => Ok(Self::percentile(50.0)),
            (_, Some(Some(rank))) => Ok(Self::Percentile(rank)),
            _ => Err(format!(
                "'{text}' is no statistic; expected a percentile from p0 to p100 as p99.9, min, mean, stdev or max"
            )),
        }
    }
}

/// As comparisons and sweeps write it, by its [older name](Metric::older_name).
impl Serialize for Metric {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.older_name())
    }
}

/// By either name.
impl<'de> Deserialize<'de> for Metric {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What of it a comparison or a sweep may hold, as they write it.
impl JsonSchema for Metric {
    fn schema_name() -> Cow<'static, str> {
        "Metric".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A metric by the name that it has in this document: some by their older names, every other \
                            statistic of a distribution as loadgen's --gate has it.",
            "type": "string",
            "pattern": concat!(
                "^(throughput|latency-p50|latency-p90|latency-p95|latency-p99|server-cpu|peak-memory|connection-memory|",
                r"wire\.bytes|wire\.ratio|capacity|",
                r"(latency|service_time|seen)\.(p[0-9]+(\.[0-9]+)?|min|mean|stdev|max))$",
            ),
        })
    }
}

/// The names as a sentence lists them.
fn list(names: &[String]) -> String {
    match names {
        [all @ .., last] if !all.is_empty() => format!("{} or {last}", all.join(", ")),
        one => one.concat(),
    }
}

/// Every metric that is no statistic of a distribution.
const PLAIN: [(&str, Metric); 17] = [
    ("throughput", Metric::Throughput),
    ("throughput.bytes", Metric::ByteRate),
    ("achieved", Metric::Achieved),
    ("server.cpu", Metric::ServerCpu),
    ("server.memory", Metric::ServerMemory),
    ("connection.memory", Metric::ConnectionMemory),
    ("wire.bytes", Metric::WireBytes),
    ("wire.ratio", Metric::WireRatio),
    ("capacity", Metric::Capacity),
    ("loadgen.cpu", Metric::LoadgenCpu),
    ("loadgen.memory", Metric::LoadgenMemory),
    ("errors", Metric::Errors),
    ("errors.rate", Metric::ErrorRate),
    ("datagrams.lost", Metric::Datagrams(Fate::Lost)),
    ("datagrams.late", Metric::Datagrams(Fate::Late)),
    ("datagrams.duplicated", Metric::Datagrams(Fate::Duplicated)),
    ("datagrams.reordered", Metric::Datagrams(Fate::Reordered)),
];

/// What `--gate` called them before metrics had one name everywhere.
const OLDER_NAMES: [(&str, Metric); 7] = [
    ("latency-p50", Metric::latency(50.0)),
    ("latency-p90", Metric::latency(90.0)),
    ("latency-p95", Metric::latency(95.0)),
    ("latency-p99", Metric::latency(99.0)),
    ("server-cpu", Metric::ServerCpu),
    ("peak-memory", Metric::ServerMemory),
    ("connection-memory", Metric::ConnectionMemory),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for name in ["latency.p99", "connect.p99.9", "send_lag.max", "read_lag.p50", "seen.p99", "service_time.mean"] {
            assert_eq!(name.parse::<Metric>().map(|metric| metric.to_string()).as_deref(), Ok(name));
        }
        for (name, metric) in PLAIN {
            assert_eq!((name.parse(), metric.to_string().as_str()), (Ok(metric), name));
        }
        assert!(Metric::catalogue().all(|metric| metric.to_string().parse() == Ok(metric)));
        for (k6, own) in [("p(99.9)", "p99.9"), ("avg", "mean"), ("med", "p50"), ("p-0", "p0")] {
            assert_eq!(k6.parse::<Statistic>(), own.parse());
        }
        for bad in ["", "latency", "latency.", "latency.p101", "latency.pnan", "latency.p", "lag.p99", "throughput.x"] {
            assert!(bad.parse::<Metric>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_error_names_what_there_is() {
        let error = "speed".parse::<Metric>().unwrap_err();
        for listed in [
            "'speed'",
            "read_lag, seen or connect",
            "connection.memory",
            "errors, errors.rate",
            "datagrams.duplicated or datagrams.reordered",
        ] {
            assert!(error.contains(listed), "{error}");
        }
    }

    #[test]
    fn documents_of_comparisons_keep_their_spelling_and_both_are_read() {
        let written = |metric: Metric| serde_json::to_string(&metric).unwrap();
        for (name, older) in [
            ("throughput", "throughput"),
            ("latency.p95", "latency-p95"),
            ("latency.p99.9", "latency.p99.9"),
            ("server.cpu", "server-cpu"),
            ("server.memory", "peak-memory"),
            ("connection.memory", "connection-memory"),
        ] {
            let metric: Metric = name.parse().unwrap();
            assert_eq!(written(metric), format!("\"{older}\""));
            for spelling in [name, older] {
                assert_eq!(serde_json::from_str::<Metric>(&format!("\"{spelling}\"")).unwrap(), metric);
            }
        }
        assert!(serde_json::from_str::<Metric>("\"speed\"").is_err());
    }
}
