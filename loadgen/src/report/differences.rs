//! In what two runs differ that makes their figures tell of something else than the server: the plan, the payload, the
//! machine. Revisions, the server's configuration and its address are not among it, since those are what one compares.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::host::environment::Environment;
use crate::plan::Pacing;

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    /// The field, such as `plan.connections`.
    pub field: String,
    /// Its value in the run compared with.
    pub then: String,
    /// Its value in this run.
    pub now: String,
}

/// All differences of two runs.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// Those of plan and payload: two other experiments.
    pub plan: Vec<Difference>,
    /// Those of the machine, its kernel, the compiler and the version of Fathom.
    pub environment: Vec<Difference>,
}

impl Differences {
    /// In what `now` differs from `then`.
    pub fn between(then: &Environment, now: &Environment) -> Self {
        let mut differences = Self::default();
        let plan = |environment: &Environment| {
            let mut plan = serde_json::to_value(&environment.plan).expect("a plan is plain data");
            // Where latencies end is told by the reports: `auto` may have come to either.
            if let Some(fields) = plan.as_object_mut() {
                fields.remove("timestamps");
                // A closed loop waits for replies alone, which nothing but spinning does differently.
                let waits = environment.plan.pacing != Pacing::Spin && environment.plan.offered_rate().is_none();
                fields.entry("pacing").and_modify(|pacing| {
                    if waits {
                        *pacing = "sleep".into();
                    }
                });
            }
            plan
        };
        compare("plan", &plan(then), &plan(now), &mut differences.plan);
        if let (Some(then), Some(now)) = (&then.payload_sha256, &now.payload_sha256)
            // A different plan sends different payloads; that is one difference, not two.
            && differences.plan.is_empty()
        {
            compare("payload_sha256", &then.as_str().into(), &now.as_str().into(), &mut differences.plan);
        }
        let (then, now) = (Machine::of(then), Machine::of(now));
        compare("", &then.0, &now.0, &mut differences.environment);
        differences
    }

    /// What speaks against a comparison, given whether another environment was allowed.
    pub fn in_the_way(self, environment_may_change: bool) -> Vec<Difference> {
        let Self { plan, environment } = self;
        if environment_may_change { plan } else { plan.into_iter().chain(environment).collect() }
    }
}

/// What of an environment bears on the figures.
struct Machine(Value);

impl Machine {
    fn of(environment: &Environment) -> Self {
        let Environment { kernel, architecture, cpu, cores, governor, memory_bytes, fathom, rustc, .. } = environment;
        // The kernel keeps a little for itself, not always the same: whole GiB tell machines apart.
        let memory = memory_bytes.map(|bytes| format!("{:.0} GiB", bytes as f64 / f64::from(1 << 30)));
        Self(serde_json::json!({
            "kernel": kernel, "architecture": architecture, "cpu": cpu, "cores": cores, "governor": governor,
            "memory": memory, "fathom": fathom, "rustc": rustc,
        }))
    }
}

/// Adds what differs beneath `field`.
fn compare(field: &str, then: &Value, now: &Value, into: &mut Vec<Difference>) {
    match (then, now) {
        (Value::Object(a), Value::Object(b)) => {
            let names: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for name in names {
                let field = if field.is_empty() { name.clone() } else { format!("{field}.{name}") };
                let [then, now] = [a, b].map(|object| object.get(name).unwrap_or(&Value::Null));
                compare(&field, then, now, into);
            }
        }
        _ if then == now => {}
        _ => {
            let show = |value: &Value| match value {
                Value::Null => "nothing".to_owned(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            into.push(Difference { field: field.to_owned(), then: show(then), now: show(now) });
        }
    }
}

impl Difference {
    /// Whether it is one of how TLS was spoken.
    pub fn is_of_tls(&self) -> bool {
        self.field.starts_with("plan.connect.tls")
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} there, {} here", self.field, self.then, self.now)
    }
}
