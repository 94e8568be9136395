//! Reports of `fathom/run/v1` as reports of today. Their latency and service time ended where the reply was read, so that
//! their latency is what is called seen now; when replies arrived was not recorded.

use serde_json::{Value, json};

/// The report of a run, `fathom/run/v1` before, as `fathom/run/v2`.
pub(super) fn run(mut report: Value) -> Value {
    if let Some(fields) = report.as_object_mut() {
        let latency = fields.get("latency").cloned().unwrap_or(Value::Null);
        let unstamped = latency.get("count").cloned().unwrap_or_else(|| json!(0));
        let arrivals = json!({ "stamped": 0, "shared": 0, "unstamped": unstamped, "dropped": 0 });
        for (name, value) in [
            ("schema", json!("fathom/run/v2")),
            ("ends_at", json!("read")),
            ("arrivals", arrivals),
            ("read_lag", Value::Null),
            ("seen", latency),
        ] {
            fields.insert(name.to_owned(), value);
        }
    }
    report
}

/// The reports of several runs, likewise.
pub(super) fn runs(mut reports: Value) -> Value {
    if let Some(fields) = reports.as_object_mut() {
        fields.insert("schema".to_owned(), json!("fathom/runs/v2"));
        let runs = fields.get_mut("runs").and_then(Value::as_array_mut);
        runs.into_iter().flatten().for_each(|report| *report = run(report.take()));
    }
    reports
}
