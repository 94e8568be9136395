//! `loadgen report` as a program: every format read by something else than what wrote it, and every refusal.

mod benchfmt;
mod binary;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use benchfmt::{Benchmarks, benchmarks};
use binary::loadgen;
use serde::Deserialize;
use serde_json::Value;

/// A file of this test process's own.
fn scratch(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("conversion-{}-{name}", std::process::id()))
}

/// Runs `loadgen report`.
fn report(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadgen"));
    command.arg("report").args(arguments).env_remove("GITHUB_STEP_SUMMARY").stdin(Stdio::null()).output().unwrap()
}

#[track_caller]
fn converted(arguments: &[&str]) -> String {
    let output = report(arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), said.as_ref()), (Some(0), ""), "{arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn refused(arguments: &[&str], words: &[&str]) {
    let output = report(arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{arguments:?}: {said}");
    assert!(words.iter().all(|word| said.contains(word)), "{arguments:?}: {said}");
}

/// The saved report of a short run of this test process, of an open loop with a limit that it crosses however late it was.
fn saved() -> &'static str {
    static FILE: OnceLock<String> = OnceLock::new();
    FILE.get_or_init(|| run("saved.json"))
}

/// Makes another one.
fn run(name: &str) -> String {
    let file = scratch(name).to_str().unwrap().to_owned();
    let limits = ["--threshold", "latency.p99<10s", "--threshold", "connect.max<1ns"];
    let plan = ["run", "-c", "4", "--warmup", "0s", "-d", "1600ms", "--rate", "1000", "-q", "-o", &file];
    let finished = loadgen(&[&plan[..], &limits].concat()).wait();
    assert!(matches!(finished.code, Some(98 | 99)), "{}", finished.stderr);
    file
}

fn json(file: &str) -> Value {
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

#[test]
fn text_and_percentiles_are_those_of_the_run() {
    let [text, hgrm] = ["direct.txt", "direct.hgrm"].map(scratch);
    let file = scratch("direct.json");
    let names = [&file, &hgrm].map(|path| path.to_str().unwrap());
    let plan = ["run", "-c", "2", "--warmup", "0s", "--messages", "300", "-q", "-o", names[0], "--hgrm", names[1]];
    let finished = loadgen(&plan).wait();
    // A busy machine may make the run so long that its steadiness is judged.
    assert!(matches!(finished.code, Some(0 | 98)), "{}", finished.stderr);
    assert_eq!(format!("{}\n", converted(&[names[0]])), finished.stdout);
    assert_eq!(converted(&[names[0], "--to", "hgrm"]), fs::read_to_string(&hgrm).unwrap());
    assert_eq!(converted(&[names[0], "--to", "text", "-o", text.to_str().unwrap()]), "");
    assert_eq!(format!("{}\n", fs::read_to_string(&text).unwrap()), finished.stdout);
    assert_eq!(serde_json::from_str::<Value>(&converted(&[names[0], "--to", "json"])).unwrap(), json(names[0]));
    [text, hgrm, file].into_iter().for_each(|file| fs::remove_file(file).unwrap());
}

#[test]
fn csv_has_a_line_for_each_run() {
    let table = converted(&[saved(), saved(), "--to", "csv"]);
    let lines: Vec<BTreeMap<String, String>> =
        csv::Reader::from_reader(table.as_bytes()).deserialize().collect::<Result<_, _>>().unwrap();
    let report = json(saved());
    assert_eq!(lines.len(), 2);
    for line in lines {
        assert_eq!(line["latency_p99_ns"], report["latency"]["p99"].to_string());
        assert_eq!(line["verified"], report["messages"]["verified"].to_string());
        assert_eq!((line["loop"].as_str(), line["in_flight"].as_str()), ("open", ""));
        assert_eq!(line["offered_messages_per_second"], "1000");
    }
}

#[test]
fn junit_has_a_case_for_each_limit() {
    let xml = converted(&[saved(), "--to", "junit"]);
    let read = quick_junit::Report::deserialize_from_str(&xml).unwrap();
    let [suite] = &read.test_suites[..] else { panic!("{xml}") };
    assert_eq!((read.tests, read.failures, suite.test_cases.len()), (4, 1, 4));
    let case = |name: &str| suite.test_cases.iter().find(|case| case.name.as_str() == name).unwrap();
    assert!(matches!(case("every reply verified").status, quick_junit::TestCaseStatus::Success { .. }));
    assert!(matches!(case("latency.p99<10s").status, quick_junit::TestCaseStatus::Success { .. }));
    let quick_junit::TestCaseStatus::NonSuccess { kind, message, .. } = &case("connect.max<1ns").status else {
        panic!("{xml}")
    };
    assert_eq!(*kind, quick_junit::NonSuccessKind::Failure);
    assert!(message.as_ref().unwrap().as_str().starts_with("connect.max < 1 ns: it was "), "{message:?}");
    assert!(!xml.lines().nth(1).unwrap().contains("skipped"), "Jenkins' schema knows no such attribute: {xml}");
}

#[test]
fn benchfmt_is_what_benchstat_reads_a_sample_for_each_run() {
    let Benchmarks { results, units, configuration } = benchmarks(&converted(&[saved(), saved(), "--to", "benchfmt"]));
    let report = json(saved());
    assert_eq!(results.len(), 2);
    for (name, figures) in &results {
        assert_eq!(name, "BenchmarkRun/loop=open/connections=4/rate=1000/size=64");
        assert_eq!(figures["latency.p99-ns"], report["latency"]["p99"].as_f64().unwrap());
        assert_eq!(figures["messages/s"], report["throughput"]["messages_per_second"].as_f64().unwrap());
        assert!(figures.keys().all(|unit| units.contains_key(unit)), "{units:?}");
    }
    assert_eq!((units["messages/s"].as_str(), units["latency.p99-ns"].as_str()), ("higher", "lower"));
    let commit = report["environment"]["git_revision"].as_str().unwrap();
    assert!(configuration.contains(&("commit".to_owned(), commit.to_owned())), "{configuration:?}");
    assert_eq!(configuration.iter().filter(|(key, _)| key == "goos").count(), 1, "said once: {configuration:?}");
}

#[test]
fn bmf_is_what_bencher_documents() {
    /// A metric, as bencher.dev/docs/reference/bencher-metric-format has it.
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "that they are read is what is tested")]
    struct Metric {
        value: f64,
        lower_value: Option<f64>,
        upper_value: Option<f64>,
    }
    let text = converted(&[saved(), "--to", "bmf"]);
    let benchmarks: BTreeMap<String, BTreeMap<String, Metric>> = serde_json::from_str(&text).unwrap();
    let report = json(saved());
    let measures = &benchmarks["run"];
    assert_eq!(measures["latency-p99"].value, report["latency"]["p99"].as_f64().unwrap());
    let slug = |name: &String| name.len() <= 64 && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    assert!(measures.keys().all(slug), "{:?}", measures.keys());
}

#[test]
fn github_action_benchmark_gets_a_file_for_each_direction() {
    /// An entry, as the README of benchmark-action/github-action-benchmark has it.
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "that they are read is what is tested")]
    struct Entry {
        name: String,
        unit: String,
        value: f64,
        range: Option<String>,
        extra: Option<String>,
    }
    let directory = scratch("action").join("below");
    converted(&[saved(), "--to", "github-action-benchmark", "-o", directory.to_str().unwrap()]);
    let read = |name: &str| -> Vec<Entry> { serde_json::from_slice(&fs::read(directory.join(name)).unwrap()).unwrap() };
    let (smaller, bigger) = (read("smaller-is-better.json"), read("bigger-is-better.json"));
    let names = |entries: &[Entry]| entries.iter().map(|entry| entry.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&bigger), ["run: throughput", "run: achieved"]);
    assert!(names(&smaller).contains(&"run: latency.p99".to_owned()), "{:?}", names(&smaller));
    fs::remove_dir_all(scratch("action")).unwrap();
    refused(&[saved(), "--to", "github-action-benchmark"], &["two files", "--output DIRECTORY"]);
}

#[test]
fn openmetrics_counts_every_message_once() {
    let text = converted(&[saved(), "--to", "openmetrics"]);
    assert!(text.ends_with("# EOF\n"), "{text}");
    let report = json(saved());
    let samples: Vec<(&str, f64)> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.rsplit_once(' ').map(|(name, value)| (name, value.parse().unwrap())).unwrap())
        .collect();
    let of = |prefix: &str, label: &str| -> f64 {
        let mut found = samples.iter().filter(|(name, _)| name.starts_with(prefix) && name.contains(label));
        let value = found.next().unwrap_or_else(|| panic!("no {prefix} {label} in\n{text}")).1;
        assert!(found.next().is_none(), "{prefix} {label} is there twice");
        value
    };
    let count = report["latency"]["count"].as_f64().unwrap();
    assert_eq!(of("fathom_latency_seconds_bucket{", "le=\"+Inf\""), count);
    assert_eq!(of("fathom_latency_seconds_count{", ""), count);
    let sum = of("fathom_latency_seconds_sum{", "");
    assert!((sum - report["latency"]["mean"].as_f64().unwrap() * count / 1e9).abs() < 1e-9);
    let p99 = of("fathom_latency_percentile_seconds{", "percentile=\"99\"");
    assert_eq!(p99, report["latency"]["p99"].as_f64().unwrap() / 1e9);
    assert_eq!(of("fathom_threshold_met{", "connect.max<1ns"), 0.0);
    assert_eq!(of("fathom_threshold_met{", "latency.p99<10s"), 1.0);
}

#[test]
fn markdown_goes_to_stdout_or_to_the_summary_of_the_job() {
    let markdown = converted(&[saved(), "--to", "markdown"]);
    assert!(markdown.starts_with("### run: ") && markdown.contains("| p99.9 |"), "{markdown}");
    assert!(markdown.contains("crossed | connect.max &lt; 1 ns |"), "{markdown}");
    let summary = scratch("summary.md");
    fs::write(&summary, "what was there\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadgen"));
    command.args(["report", saved(), "--to", "markdown", "--github"]).env("GITHUB_STEP_SUMMARY", &summary);
    let output = command.output().unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0));
    assert_eq!(fs::read_to_string(&summary).unwrap(), format!("what was there\n{markdown}"));
    fs::remove_file(summary).unwrap();
    refused(&[saved(), "--to", "markdown", "--github"], &["GITHUB_STEP_SUMMARY is not set"]);
    refused(&[saved(), "--to", "html", "--github"], &["--to markdown"]);
    refused(&[saved(), "--to", "markdown", "--github", "-o", "x"], &["--github", "--output"]);
}

#[test]
fn the_page_stands_alone_and_shows_what_a_report_says_as_text() {
    let hostile = scratch("hostile.json");
    let mut changed = json(saved());
    changed["target"] = "<script>alert(1)</script> | `x`".into();
    fs::write(&hostile, changed.to_string()).unwrap();
    let page = converted(&[hostile.to_str().unwrap(), "--to", "html"]);
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && !page.contains("<script"), "it is escaped");
    for loads in ["src=", "href=", "url(", "@import", "http-equiv=\"refresh"] {
        assert!(!page.contains(loads), "{loads}");
    }
    for part in [
        "Latency by percentile",
        "Latency over time",
        "Throughput over time",
        "Offered against achieved",
        "Environment",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert_eq!(page.matches("<svg").count(), 8, "four charts in two shapes");
    assert!(page.contains("prefers-color-scheme: dark") && page.contains("99.9%"));
    let markdown = converted(&[hostile.to_str().unwrap(), "--to", "markdown"]);
    assert!(markdown.contains("&lt;script&gt;alert(1)&lt;/script&gt; \\| \\`x\\`"), "{markdown}");
    fs::remove_file(hostile).unwrap();
}

#[test]
fn several_files_become_one_run_exactly() {
    let other = run("other.json");
    let merged: Value = serde_json::from_str(&converted(&[&other, saved(), "--to", "json"])).unwrap();
    let parts = [json(saved()), json(&other)];
    for path in
        ["/latency/count", "/messages/sent", "/messages/verified", "/connections/established", "/load/duration_seconds"]
    {
        let sum: f64 = parts.iter().map(|part| part.pointer(path).unwrap().as_f64().unwrap()).sum();
        assert_eq!(merged.pointer(path).unwrap().as_f64(), Some(sum), "{path}");
    }
    let most = parts.iter().map(|part| part["latency"]["max"].as_u64().unwrap()).max();
    assert_eq!(merged["latency"]["max"].as_u64(), most);
    let outcomes: Vec<_> = merged["thresholds"].as_array().unwrap().iter().map(|judged| &judged["outcome"]).collect();
    assert_eq!(outcomes, ["met", "crossed"], "judged anew");
    assert_eq!(merged["name"], "run, 2 runs");
    refused(&[saved(), saved()], &["run 2 began before"]);
    fs::remove_file(other).unwrap();
}

#[test]
fn files_that_do_not_belong_together_are_refused() {
    let changed = |name: &str, pointer: &str, value: Value| {
        let file = scratch(name);
        let mut report = json(saved());
        *report.pointer_mut(pointer).unwrap() = value;
        report["began_at"] = "2099-01-01T00:00:00.000Z".into();
        fs::write(&file, report.to_string()).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let plan = changed("plan.json", "/environment/plan/connections", 9.into());
    refused(&[saved(), &plan], &["cannot be merged", "run 2 (run)", "plan.connections: 4 there, 9 here"]);
    let kernel = changed("kernel.json", "/environment/kernel", "2.4.37".into());
    refused(&[saved(), &kernel, "--to", "html"], &["kernel: ", "2.4.37 here"]);
    converted(&[saved(), &kernel, "--to", "html", "--allow-environment-change"]);
    let several = scratch("runs.json");
    fs::write(
        &several,
        serde_json::json!({ "schema": "fathom/runs/v2", "runs": [json(saved()), json(&kernel)] }).to_string(),
    )
    .unwrap();
    let several = several.to_str().unwrap();
    refused(&[saved(), several], &["holds 2 runs", "holds 1"]);
    refused(&[several, "--to", "hgrm"], &["hgrm", "there are 2"]);
    let names = [&plan, &kernel, several];
    let page = converted(&[several, "--to", "html"]);
    assert!(page.contains("a dot for each run"), "two open loops make a curve");
    let bmf: Value = serde_json::from_str(&converted(&[several, "--to", "bmf"])).unwrap();
    assert!(bmf.get("run").is_some() && bmf.get("run 2").is_some(), "{bmf}");
    names.into_iter().for_each(|file| fs::remove_file(file).unwrap());
}

#[test]
fn what_is_no_report_is_named_with_what_is_wrong() {
    let write = |name: &str, text: &str| {
        let file = scratch(name);
        fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let mut broken = json(saved());
    broken["latency"]["histogram"] = "AAAA".into();
    let files = [
        (write("no.json", "nonsense"), "line 1 column"),
        (write("array.json", "[1]"), "not a report of loadgen"),
        (write("schema.json", r#"{"schema": "fathom/run/v9"}"#), "'fathom/run/v9'"),
        (write("part.json", r#"{"schema": "fathom/run/v2"}"#), "missing field"),
        (write("broken.json", &broken.to_string()), "histogram"),
    ];
    for (file, words) in &files {
        refused(&[file], &[words]);
        refused(&[file, "--to", "html"], &[words]);
    }
    refused(&["/no/such/report.json"], &["/no/such/report.json", "No such file"]);
    refused(&["-", "-"], &["stdin", "twice"]);
    refused(&[saved(), "--to", "pdf"], &["--to", "markdown"]);
    refused(&[], &["FILE"]);
    files.iter().for_each(|(file, _)| fs::remove_file(file).unwrap());
}

#[test]
fn what_cannot_be_written_is_a_failure_that_names_the_place() {
    for (arguments, place) in [
        (&["-o", "/dev/full"][..], "/dev/full"),
        (&["-o", "/no/such/directory/x"], "/no/such/directory/x"),
        (&["--to", "github-action-benchmark", "-o", "/dev/null"], "/dev/null"),
    ] {
        let output = report(&[&[saved()], arguments].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(place), "{said}");
    }
}

#[test]
fn a_report_is_read_from_stdin() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadgen"));
    let output = command.args(["report", "-"]).stdin(fs::File::open(saved()).unwrap()).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), converted(&[saved()]));
}

#[test]
fn a_comparison_has_its_own_formats() {
    let file = scratch("comparison.json");
    let name = file.to_str().unwrap();
    let finished = loadgen(&["compare", "--aa", "-c", "4", "--max-time", "6s", "-q", "-o", name]).wait();
    assert!(matches!(finished.code, Some(0 | 98)), "{}", finished.stderr);
    let saved_comparison = json(name);
    assert_eq!(format!("{}\n", converted(&[name])), finished.stdout);
    let table = converted(&[name, "--to", "csv"]);
    // A short trial may be too short for the server's CPU time.
    let figures = |pair: &Value| {
        let b = pair["b"].as_object().unwrap();
        pair["a"].as_object().unwrap().keys().filter(|metric| b.contains_key(*metric)).count()
    };
    let starts = saved_comparison["starts"].as_array().unwrap().iter();
    let figures: usize = starts.flat_map(|start| start["pairs"].as_array().unwrap()).map(figures).sum();
    assert_eq!(csv::Reader::from_reader(table.as_bytes()).records().filter(Result::is_ok).count(), figures);
    let markdown = converted(&[name, "--to", "markdown"]);
    assert!(markdown.starts_with("### A/A: ") && markdown.contains("| throughput |"), "{markdown}");
    let page = converted(&[name, "--to", "html"]);
    assert!(page.contains("throughput: B against A") && page.contains("intervals: of what is judged"));
    let junit = quick_junit::Report::deserialize_from_str(&converted(&[name, "--to", "junit"])).unwrap();
    assert_eq!(junit.tests, 3, "trust and two gated metrics");
    assert_eq!(serde_json::from_str::<Value>(&converted(&[name, "--to", "json"])).unwrap(), saved_comparison);
    let Benchmarks { results, units, .. } = benchmarks(&converted(&[name, "--to", "benchfmt"]));
    for side in ["a", "b"] {
        let of = format!("BenchmarkCompare/side={side}/loop=closed/connections=4/in_flight=1/size=64");
        let starts = saved_comparison["starts"].as_array().unwrap().iter();
        let pairs = starts.flat_map(|start| start["pairs"].as_array().unwrap());
        // On a busy machine a trial may be without a reply, and so without figures.
        let measured = pairs.filter(|pair| !pair[side].as_object().unwrap().is_empty()).count();
        assert_eq!(results.iter().filter(|(name, _)| *name == of).count(), measured, "{of}");
    }
    assert!(results.iter().all(|(_, figures)| figures.keys().all(|unit| units.contains_key(unit))), "{units:?}");
    let bmf: Value = serde_json::from_str(&converted(&[name, "--to", "bmf"])).unwrap();
    let change = &bmf["compare"]["throughput-change"];
    assert_eq!(change["value"], saved_comparison["metrics"][0]["shown"]["change"], "{bmf}");
    let directory = scratch("comparison");
    converted(&[name, "--to", "github-action-benchmark", "-o", directory.to_str().unwrap()]);
    let bigger = json(directory.join("bigger-is-better.json").to_str().unwrap());
    assert_eq!(bigger[0]["value"], saved_comparison["metrics"][0]["shown"]["b"], "{bigger}");
    fs::remove_dir_all(directory).unwrap();
    let openmetrics = converted(&[name, "--to", "openmetrics"]);
    let ratio = "fathom_compare_change_ratios{metric=\"throughput\",bound=\"estimate\"} ";
    assert!(openmetrics.contains(ratio), "{openmetrics}");
    refused(&[name, "--to", "hgrm"], &["hgrm", "a comparison"]);
    refused(&[name, "--to", "csv", "--over-time"], &["--over-time", name, "a comparison", "expected runs"]);
    refused(&[name, saved()], &[name, "cannot be merged"]);
    refused(&[name, "--to", "html", "-o", name], &["--output", name, "is the report that is read"]);
    let finished = loadgen(&["run", "--baseline", name]).wait();
    assert_eq!(finished.code, Some(2));
    assert!(finished.stderr.contains("it holds a comparison"), "{}", finished.stderr);
    fs::remove_file(file).unwrap();
}
