//! The real program looking for a capacity.

mod asked;
#[path = "../binary/mod.rs"]
mod binary;
mod ended;
mod formats;
mod found;
#[path = "../faults/servers.rs"]
#[allow(dead_code, reason = "the tests of faults use the rest")]
mod servers;

use std::path::PathBuf;

use binary::{Finished, Json, loadgen};

/// What these flags come to with one of these exit codes; short probes, no fresh starts.
pub(crate) fn capacity(flags: &[&str], codes: &[i32]) -> Json {
    let report = loadgen(&[&["capacity", "-q", "--format", "json"], &quick(flags)[..], flags].concat()).json(codes);
    assert_valid(&report.0);
    report
}

/// Those of [`QUICK`] that `flags` do not give.
pub(crate) fn quick(flags: &[&str]) -> Vec<&'static str> {
    QUICK.iter().filter(|(flag, _)| !flags.contains(flag)).flat_map(|&(flag, value)| [flag, value]).collect()
}

pub(crate) fn finished(flags: &[&str]) -> Finished {
    loadgen(&[&["capacity", "-q"], flags].concat()).wait()
}

pub(crate) fn file(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("fathom-capacity-{}-{name}", std::process::id()))
}

#[track_caller]
pub(crate) fn assert_valid(document: &serde_json::Value) {
    assert_valid_by(include_str!("../../schema/capacity-v1.schema.json"), document);
}

#[track_caller]
pub(crate) fn assert_valid_by(schema: &str, document: &serde_json::Value) {
    let schema = serde_json::from_str(schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> = validator.iter_errors(document).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

pub(crate) fn probes<'a>(report: &'a Json, part: &str) -> &'a Vec<serde_json::Value> {
    report.0[part].as_array().unwrap()
}

/// Probes of a fifth of a second on five connections, and no fresh starts unless they are asked for.
const QUICK: [(&str, &str); 4] = [("-c", "5"), ("--probe", "200ms"), ("--holdout", "0"), ("--max-time", "30s")];
