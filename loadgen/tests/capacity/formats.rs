//! Reports that are saved and rendered.

use std::fs;

use crate::binary::{assert_formats, converted, loadgen};
use crate::{file, quick};

#[test]
fn a_saved_report_is_read_back_in_every_format_but_one() {
    let saved = file("saved.json");
    let path = saved.to_str().unwrap();
    let flags = ["--slo", "latency.p50<4s", "--min-rate", "20", "--max-rate", "50", "--threshold", "capacity>1"];
    let text = loadgen(&[&["capacity", "-q", "--output", path], &quick(&flags)[..], &flags].concat()).wait();
    assert_eq!(text.code, Some(0), "{}", text.stderr);
    assert!(text.stdout.starts_with("capacity: above the range\n"), "{}", text.stdout);
    assert!(text.stdout.lines().all(|line| line.chars().count() <= 80), "{}", text.stdout);
    assert_eq!(converted(path, "text").stdout.trim_end(), text.stdout.trim_end());
    let formats = [
        ("json", "fathom/capacity/v1"),
        ("markdown", "### Capacity: above the range"),
        ("html", "<h1>Capacity</h1>"),
        ("csv", "search,1,"),
        ("junit", "capacity for latency.p50&lt;4s"),
        ("benchfmt", "BenchmarkCapacity/connections=5/size=64/server=embedded_server\t"),
        ("bmf", "\"capacity\""),
        ("openmetrics", "fathom_capacity_figure{metric=\"capacity\",unit=\"messages/s\"} 50"),
    ];
    assert_formats(path, &formats, ("bigger-is-better.json", "capacity: capacity"));
    fs::remove_file(&saved).unwrap();
}

#[test]
fn capacities_along_an_axis_are_one_report() {
    let saved = file("along.json");
    let path = saved.to_str().unwrap();
    let flags = ["--slo", "latency.p50<4s", "--min-rate", "20", "--max-rate", "50", "--over", "connections=3,6"];
    let run = loadgen(&[&["capacity", "-q", "--output", path], &quick(&flags)[..], &flags].concat()).wait();
    assert_eq!(run.code, Some(97), "{}", run.stderr);
    let document: serde_json::Value = serde_json::from_str(&fs::read_to_string(&saved).unwrap()).unwrap();
    let schema = serde_json::from_str(include_str!("../../schema/capacities-v1.schema.json")).unwrap();
    assert!(jsonschema::validator_for(&schema).unwrap().is_valid(&document));
    let points = document["points"].as_array().unwrap();
    assert_eq!(document["axis"], "connections");
    for (point, connections) in points.iter().zip([3, 6]) {
        assert_eq!(point["value"], connections);
        assert_eq!(point["capacity"]["environment"]["plan"]["connections"], connections);
        assert_eq!(point["capacity"]["answer"]["verdict"], "above-range");
    }
    let formats = [
        ("text", "capacity over connections"),
        ("json", "fathom/capacities/v1"),
        ("markdown", "### Capacity over connections"),
        ("html", "<h1>Capacity over connections</h1>"),
        ("csv", "3,above the range,50,"),
        ("junit", "capacity connections=6"),
        ("benchfmt", "BenchmarkCapacity/connections=6/"),
        ("bmf", "\"connections=3\""),
        ("openmetrics", "over=\"connections=6\"} 50"),
    ];
    assert_formats(path, &formats, ("bigger-is-better.json", "connections=3: capacity"));
    fs::remove_file(&saved).unwrap();
}
