//! Thresholds and baselines of the real program: what it says, and with which exit code.

mod binary;

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use binary::{EmbeddedServer, Finished, Json, loadgen};
use serde_json::Value;

/// How often a run is repeated until it is to be trusted.
const ATTEMPTS: usize = 5;

/// A run that no steadiness rule judges, so that its verdict is that of its messages and limits.
const BRIEF: [&str; 8] = ["run", "-c", "4", "--warmup", "0s", "--messages", "2000", "-q"];

fn run(flags: &[&str]) -> binary::Run {
    loadgen(&[&BRIEF[..], flags].concat())
}

/// Runs until the figures are to be trusted, a few times at the most: a busy machine may make a run so long that its
/// steadiness is judged after all, or late.
fn trusted(flags: &[&str]) -> Finished {
    for attempt in 1..=ATTEMPTS {
        let finished = run(flags).wait();
        if finished.code != Some(98) {
            return finished;
        }
        eprintln!("attempt {attempt} is not to be trusted:\n{}", finished.stdout);
    }
    panic!("none of {ATTEMPTS} runs is to be trusted");
}

fn json(flags: &[&str], code: i32) -> Json {
    let finished = trusted(&[flags, &["--format", "json"]].concat());
    assert_eq!(finished.code, Some(code), "{}", finished.stderr);
    Json(serde_json::from_str(&finished.stdout).expect("a report"))
}

/// A file of this test process's own.
fn scratch(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("gate-{}-{name}", std::process::id()))
}

/// A saved report, changed.
fn saved(name: &str, change: impl Fn(&mut Value)) -> String {
    let path = scratch(name);
    let mut report = json(&[], 0).0;
    change(&mut report);
    fs::write(&path, report.to_string()).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn limits_that_are_kept_and_one_that_is_crossed() {
    let kept = ["--threshold", "latency.p99<10s", "--threshold", "p(99.9) < 10000", "--threshold", "errors==0"];
    let report = json(&kept, 0);
    let judged = report.0["thresholds"].as_array().unwrap();
    assert_eq!(judged.len(), 3);
    assert!(judged.iter().all(|judged| judged["outcome"] == "met"), "{judged:?}");
    assert_eq!(judged[1]["metric"], "latency.p99.9");
    assert_eq!(report.number("/thresholds/1/limit"), 1e10);
    assert_eq!(report.number("/thresholds/1/value"), report.number("/latency/p99_9"));

    let crossed = [&kept[..], &["--threshold", "throughput>=1M"]].concat();
    let report = json(&crossed, 99);
    assert_eq!(report.0["thresholds"][3]["outcome"], "crossed");
    let finished = trusted(&crossed);
    assert_eq!(finished.code, Some(99), "{}", finished.stderr);
    let lines: Vec<&str> =
        finished.stdout.lines().filter(|line| line.contains(" < ") || line.contains(" >= ")).collect();
    assert!(lines.iter().any(|line| line.contains("CROSSED  throughput >= 1,000,000/s")), "{}", finished.stdout);
    assert!(lines[0].contains("met      latency.p99 < 10.0 s"), "{}", finished.stdout);
}

#[test]
fn a_percentile_of_too_few_messages_keeps_no_limit() {
    let limits = ["--threshold", "latency.p99.99<10s", "--threshold", "latency.max<10s"];
    let few = ["run", "-c", "1", "--warmup", "0s", "--messages", "2", "-q"];
    let finished = loadgen(&[&few[..], &limits].concat()).wait();
    assert_eq!(finished.code, Some(98), "{}", finished.stdout);
    let words =
        ["UNKNOWN  latency.p99.99", "p99.99 needs 10,000 values at least, and there are 2", "met      latency.max"];
    assert!(words.iter().all(|word| finished.stdout.contains(word)), "{}", finished.stdout);
}

#[test]
fn what_was_seen_and_how_late_it_was_read_have_limits() {
    for name in ["seen", "read_lag"] {
        let [kept, crossed] = ["<10s", ">10s"].map(|limit| trusted(&["--threshold", &format!("{name}.p50{limit}")]));
        assert_eq!((kept.code, crossed.code), (Some(0), Some(99)), "{}{}", kept.stdout, crossed.stdout);
    }
}

#[test]
fn a_run_ends_when_a_limit_is_crossed_if_asked_to() {
    let server = EmbeddedServer::start(&[]);
    let started = Instant::now();
    let limits = ["--threshold", "latency.p50<1ns", "--threshold", "errors==0", "--abort-on-fail"];
    let flags = ["run", &server.url, "-c", "4", "--warmup", "0s", "-d", "60s", "-q", "--format", "json"];
    // A machine that is busy may withhold time, which makes it 98.
    let report = loadgen(&[&flags[..], &limits].concat()).json(&[98, 99]);
    assert_eq!(report.0["thresholds"][0]["outcome"], "crossed");
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    assert_eq!((&report.0["aborted"], &report.0["interrupted"]), (&Value::Bool(true), &Value::Bool(false)));
    assert!(report.0["trust"]["notes"].to_string().contains("since a threshold was crossed"), "{}", report.0["trust"]);
    // One that is kept ends nothing, nor does one that only the end tells of.
    let report = json(&["--threshold", "latency.p50<10s", "--threshold", "connect.max<10s", "--abort-on-fail"], 0);
    assert_eq!(report.0["aborted"], false);
}

#[test]
fn every_metric_may_end_a_run() {
    let server = EmbeddedServer::start(&[]);
    for limit in [
        "throughput>100M",
        "throughput.bytes>100GB/s",
        "achieved>200%",
        "service_time.p99<1ns",
        "latency-p50<1ns",
        "server.cpu<1ns",
        "server.memory<1B",
        "loadgen.cpu<1ns",
        "loadgen.memory<1B",
    ] {
        let flags = ["run", &server.url, "-c", "2", "--rate", "500", "--warmup", "0s", "-d", "60s", "-q"];
        let started = Instant::now();
        let run = loadgen(&[&flags[..], &["--threshold", limit, "--abort-on-fail", "--format", "json"]].concat());
        // A generator that the loaded machine made late is not to be trusted, but ends too.
        let report = run.json(&[98, 99]);
        assert_eq!((&report.0["aborted"], &report.0["thresholds"][0]["outcome"]), (&true.into(), &"crossed".into()));
        assert!(started.elapsed() < Duration::from_secs(40), "{limit}: {:?}", started.elapsed());
    }
}

#[test]
fn a_rate_below_one_message_in_the_time_is_achieved_by_its_first() {
    let run = ["run", "-c", "1", "--rate", "0.1", "-d", "1s", "--warmup", "0s", "-q", "--threshold", "achieved==100%"];
    let finished = loadgen(&run).wait();
    assert!(finished.stdout.contains("(100.0% of the offered rate)"), "{}", finished.stdout);
    assert!(finished.stdout.contains("met      achieved == "), "{}", finished.stdout);
}

#[test]
fn wrong_limits_are_usage() {
    for (flags, words) in [
        (&["--threshold", "latency.p99<5"][..], ["--threshold", "a time with its unit"]),
        (&["--threshold", "speed<5ms"], ["--threshold", "'speed' is no metric"]),
        (&["--threshold", "connection.memory<1KiB"], ["--threshold", "compare and sweep only"]),
        (&["--threshold", "latency.p99"], ["--threshold", "METRIC<LIMIT"]),
        (&["--threshold", "achieved>=99%"], ["achieved>=99%", "expected --rate"]),
        (&["--abort-on-fail"], ["--threshold", "required"]),
        (&["--allow-environment-change"], ["--baseline", "required"]),
    ] {
        let finished = run(flags).wait();
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(2), ""), "{flags:?}");
        assert!(words.iter().all(|word| finished.stderr.contains(word)), "{flags:?}: {}", finished.stderr);
    }
}

#[test]
fn a_baseline_is_compared_with_and_said_to_be_weak() {
    let file = saved("same.json", |_| {});
    let finished = trusted(&["--baseline", &file]);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    for words in
        ["baseline", "throughput", "latency.p99 ", "change", "weaker than a paired comparison", "loadgen compare"]
    {
        assert!(finished.stdout.contains(words), "{words}: {}", finished.stdout);
    }
    // Where it is written may be where it was read.
    let report = json(&["--baseline", &file, "-o", &file], 0);
    let figures = report.0["baseline"]["figures"].as_array().unwrap();
    assert!(figures.iter().any(|figure| figure["metric"] == "server.cpu"), "{figures:?}");
    let figure = figures.iter().find(|figure| figure["metric"] == "throughput").unwrap();
    let (then, now) = (figure["baseline"].as_f64().unwrap(), figure["value"].as_f64().unwrap());
    assert_eq!(now, report.number("/throughput/messages_per_second"));
    assert!((figure["change"].as_f64().unwrap() - (now / then - 1.0)).abs() < 1e-12);
    assert_eq!(serde_json::from_slice::<Value>(&fs::read(&file).unwrap()).unwrap(), report.0);
    fs::remove_file(file).unwrap();
}

#[test]
fn another_experiment_is_no_baseline_and_every_difference_is_named() {
    let file = saved("other.json", |report| {
        let plan = &mut report["environment"]["plan"];
        plan["connections"] = 5.into();
        plan["load"]["in_flight"] = 2.into();
        report["environment"]["kernel"] = "2.4.37".into();
    });
    for flags in [&["--baseline", &file][..], &["--baseline", &file, "--allow-environment-change"]] {
        let finished = run(flags).wait();
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(2), ""), "{}", finished.stderr);
        for words in
            ["--baseline", file.as_str(), "plan.connections: 5 there, 4 here", "plan.load.in_flight: 2 there, 1 here"]
        {
            assert!(finished.stderr.contains(words), "{words}: {}", finished.stderr);
        }
        assert!(!finished.stderr.contains("--allow-environment-change"), "it would not help: {}", finished.stderr);
    }
    let payload = saved("payload.json", |report| report["environment"]["payload_sha256"] = "0".repeat(64).into());
    let finished = run(&["--baseline", &payload]).wait();
    assert_eq!(finished.code, Some(2));
    assert!(finished.stderr.contains("payload_sha256: 0000"), "{}", finished.stderr);
    [file, payload].into_iter().for_each(|file| fs::remove_file(file).unwrap());
}

#[test]
fn another_machine_is_a_baseline_only_if_that_is_allowed() {
    let file = saved("elsewhere.json", |report| {
        report["environment"]["kernel"] = "2.4.37".into();
        report["environment"]["cores"]["allowed"] = 64.into();
        report["environment"]["rustc"] = "rustc 1.0.0".into();
        report["environment"]["git_revision"] = "0123456789ab".into();
    });
    let finished = run(&["--baseline", &file]).wait();
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(2), ""));
    for words in
        ["kernel: 2.4.37 there", "cores.allowed: 64 there", "rustc: rustc 1.0.0 there", "--allow-environment-change"]
    {
        assert!(finished.stderr.contains(words), "{words}: {}", finished.stderr);
    }
    assert!(!finished.stderr.contains("git_revision"), "revisions are what is compared: {}", finished.stderr);
    let finished = trusted(&["--baseline", &file, "--allow-environment-change"]);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!(finished.stdout.contains("another environment: kernel: 2.4.37 there"), "{}", finished.stdout);
    fs::remove_file(file).unwrap();
}

#[test]
fn what_is_no_report_is_no_baseline() {
    let [empty, foreign, several] = ["empty.json", "foreign.json", "several.json"].map(scratch);
    fs::write(&empty, "").unwrap();
    fs::write(&foreign, r#"{ "schema": "k6/v1" }"#).unwrap();
    fs::write(&several, r#"{ "schema": "fathom/runs/v2", "runs": [] }"#).unwrap();
    for (file, words) in [
        (&scratch("missing.json"), "No such file"),
        (&empty, "EOF while parsing"),
        (&foreign, "its schema is 'k6/v1'; expected fathom/run/v1 or v2"),
        (&several, "it holds 0 runs; expected the report of one run"),
    ] {
        let file = file.to_str().unwrap();
        let finished = run(&["--baseline", file]).wait();
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(2), ""), "{file}");
        assert!(finished.stderr.contains(file) && finished.stderr.contains(words), "{words}: {}", finished.stderr);
    }
    [empty, foreign, several].into_iter().for_each(|file| fs::remove_file(file).unwrap());
}
