//! Reports that are saved and rendered.

use std::fs;

use serde_json::json;

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

#[test]
fn the_picture_shows_the_limit_and_the_two_ends_of_the_answer() {
    let saved = file("curve.json");
    let path = saved.to_str().unwrap();
    let flags = ["--slo", "latency.p50<4s", "--min-rate", "20", "--max-rate", "50"];
    let run = loadgen(&[&["capacity", "-q", "--output", path], &quick(&flags)[..], &flags].concat()).wait();
    assert_eq!(run.code, Some(97), "{}", run.stderr);
    let mut report: serde_json::Value = serde_json::from_str(&fs::read_to_string(&saved).unwrap()).unwrap();
    // A line takes two rates.
    report["probes"][0]["offered_rate"] = 25.0.into();
    let dashes = |report: &serde_json::Value| {
        fs::write(&saved, report.to_string()).unwrap();
        let page = converted(path, "html");
        assert_eq!(page.code, Some(0), "{}", page.stderr);
        for heading in ["Latency over the offered rate", "Offered against achieved", "the answer&#39;s two ends"] {
            assert!(page.stdout.contains(heading) || page.stdout.contains(&heading.replace("&#39;", "'")), "{heading}");
        }
        // Each dash is a line of its own.
        page.stdout.matches("<polyline").count()
    };
    let one_end = dashes(&report);
    report["answer"]["breaks"] = report["answer"]["sustains"].clone();
    report["answer"]["breaks"]["rate"] = 40.0.into();
    let both_ends = dashes(&report);
    assert!(one_end < both_ends, "{one_end} {both_ends}");
    report["slos"][0] = "errors.rate<1%".into();
    let no_limit = dashes(&report);
    assert!(no_limit < both_ends, "{no_limit} {both_ends}");
    fs::remove_file(&saved).unwrap();
}

#[test]
fn the_answer_is_said_as_it_is_proven() {
    let saved = file("words.json");
    let path = saved.to_str().unwrap();
    let flags = ["--slo", "latency.p50<4s", "--min-rate", "20", "--max-rate", "50", "--confidence", "99.9%"];
    let run = loadgen(&[&["capacity", "-q", "--output", path], &quick(&flags)[..], &flags].concat()).wait();
    assert_eq!(run.code, Some(97), "{}", run.stderr);
    let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat(&run.stdout).contains(", the highest rate that was to be tried (--max-rate)"), "{}", run.stdout);
    let mut report: serde_json::Value = serde_json::from_str(&fs::read_to_string(&saved).unwrap()).unwrap();
    let said = |report: &serde_json::Value| {
        fs::write(&saved, report.to_string()).unwrap();
        flat(&converted(path, "text").stdout)
    };
    // A rate below the highest, which fresh starts did not keep.
    report["answer"]["stepped_down"] = 1.into();
    report["answer"]["sustains"]["rate"] = 40.0.into();
    let words = said(&report);
    assert!(words.contains("sustains 40.0/s") && words.contains("; no rate was seen to break a limit"), "{words}");
    report["answer"]["verdict"] = "found".into();
    assert!(said(&report).contains(", each wrong in at most 0.1%"), "{}", said(&report));
    report["answer"]["verdict"] = "below-range".into();
    report["answer"]["sustains"] = serde_json::Value::Null;
    assert!(said(&report).contains("keeps the limits at no rate that was tried "), "{}", said(&report));
    fs::remove_file(&saved).unwrap();
}

#[test]
fn along_threads_the_law_is_told_or_why_there_is_none() {
    let saved = file("threads.json");
    let path = saved.to_str().unwrap();
    // A millisecond of CPU time a message. Two probes of an end prove it to so little.
    let flags = ["--server", "--inject-cost 1000000", "--slo", "latency.p50<40ms", "--over", "threads=1,2,3"];
    let more = ["--precision", "50%", "--confidence", "51%", "--output", path, "--max-time", "8s"];
    let run = loadgen(&[&["capacity", "-q"], &flags[..], &more, &quick(&more)].concat()).wait();
    let mut document: serde_json::Value = serde_json::from_str(&fs::read_to_string(&saved).unwrap()).unwrap();
    let points = document["points"].as_array().unwrap();
    let found = points.iter().filter(|point| point["capacity"]["answer"]["verdict"] == "found").count();
    for (point, threads) in points.iter().zip(1..) {
        let target = format!("embedded server --inject-cost 1000000 --threads {threads}");
        assert_eq!((point["value"].clone(), point["capacity"]["target"].clone()), (threads.into(), target.into()));
    }
    assert_eq!(points.len(), 3);
    // On a busy machine not every search finds something.
    if found == 3 {
        assert_eq!((run.code, document["law"]["residuals"].as_array().map(Vec::len)), (Some(0), Some(3)));
        assert!(run.stdout.contains("scalability law (Gunther): alpha "), "{}", run.stdout);
        assert!(run.stdout.contains("by it, the rate "), "{}", run.stdout);
    } else {
        assert!(matches!(run.code, Some(95..=98)), "{:?} {}", run.code, run.stderr);
        assert!(run.stdout.contains("no scalability law: "), "{}", run.stdout);
    }
    let fitted = json!({"estimate": 0.25, "low": 0.125, "high": 0.5});
    document["law"] = json!({"alpha": fitted, "beta": fitted, "gamma": fitted, "residuals": [], "peak": null});
    fs::write(&saved, document.to_string()).unwrap();
    let exposed = converted(path, "openmetrics").stdout;
    let labels = r#"along="threads",of="threads",coefficient="alpha",unit="share",bound="low""#;
    let sample = format!("fathom_capacity_scalability{{{labels}}} 0.125\n");
    assert!(exposed.contains(&sample), "{sample} is missing in\n{exposed}");
    fs::remove_file(&saved).unwrap();
}
