//! The JSON schemas in `loadgen/schema` are what the types of the documents say. UPDATE_SNAPSHOTS=1 writes them anew.

use std::fs;

use loadgen::report::capacities::Capacities;
use loadgen::report::capacity::CapacityReport;
use loadgen::report::comparison::Comparison;
use loadgen::report::connections::ConnectionsReport;
use loadgen::report::fanout::FanoutReport;
use loadgen::report::sweep::Sweep;
use loadgen::report::{Report, Runs};
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};

#[test]
fn of_a_run() {
    assert_generated::<Report>("run", 2, "the report of one run");
}

#[test]
fn of_several_runs() {
    assert_generated::<Runs>("runs", 2, "the reports of several runs of one command");
}

#[test]
fn of_a_comparison() {
    assert_generated::<Comparison>("compare", 1, "the report of a comparison");
}

#[test]
fn of_a_sweep() {
    assert_generated::<Sweep>("sweep", 1, "the report of a sweep");
}

#[test]
fn of_held_connections() {
    assert_generated::<ConnectionsReport>("connections", 1, "the report of held connections");
}

#[test]
fn of_a_capacity() {
    assert_generated::<CapacityReport>("capacity", 1, "the report of a capacity");
}

#[test]
fn of_capacities_along_an_axis() {
    assert_generated::<Capacities>("capacities", 1, "the capacities along an axis");
}

#[test]
fn of_a_fan_out() {
    assert_generated::<FanoutReport>("fanout", 1, "the report of a fan-out");
}

#[track_caller]
fn assert_generated<T: JsonSchema>(name: &str, version: u32, title: &str) {
    let settings = SchemaSettings::draft2020_12().for_serialize().with_transform(RecursiveTransform(strict));
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    schema.insert("$id".to_owned(), format!("urn:fathom:schema:{name}:v{version}").into());
    schema.insert("title".to_owned(), format!("Fathom: {title}").into());
    jsonschema::draft202012::meta::validate(schema.as_value()).unwrap();
    let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
    let path = format!("{}/schema/{name}-v{version}.schema.json", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    assert!(
        text == fs::read_to_string(&path).unwrap(),
        "{path} is not what the types say; UPDATE_SNAPSHOTS=1 cargo nextest run -p loadgen --test schemas writes it anew"
    );
}

/// Only what is named may be in an object, and all of it is: what is left out of an older document, and by which value
/// that is read, does not concern what is written. Formats that JSON Schema does not know, such as `uint64`, go.
fn strict(schema: &mut Schema) {
    if schema.get("properties").is_some() && schema.get("additionalProperties").is_none() {
        schema.insert("additionalProperties".to_owned(), false.into());
    }
    schema.remove("default");
    if schema.get("format").is_some_and(|format| format != "date-time") {
        schema.remove("format");
    }
    if let Some(text) = schema.get("description").and_then(|text| text.as_str()) {
        let in_one_line = text.replace('\n', " ");
        assert!(!text.contains("[`"), "a link that only Rust's documentation knows: {text}");
        schema.insert("description".to_owned(), in_one_line.into());
    }
}
