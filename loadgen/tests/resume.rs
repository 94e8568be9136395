//! The real program going on from a saved comparison: what it adds to, what it spends, and what it refuses.

mod binary;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use binary::{Finished, assert_valid, loadgen};
use loadgen::judge::statistics::Change;
use loadgen::report::comparison::{Attempts, Comparison, Ended};
use rustix::process::Signal;
use serde_json::{Value, json};

/// A server against itself with no tolerance: hardly ever decided, and never soon.
const OF_EQUALS: [&str; 17] = [
    "compare",
    "--a",
    "",
    "--b",
    "",
    "-c",
    "4",
    "--tolerance",
    "0%",
    "--gate",
    "server.cpu",
    "--restart-every",
    "1",
    // Long enough for a reply on a busy machine.
    "--trial",
    "100ms",
    "-q",
    "--force",
];

/// A file of this test process's own.
fn scratch(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("resume-{}-{name}.json", std::process::id()))
}

fn compare(flags: &[&str], file: &str) -> Finished {
    loadgen(&[&OF_EQUALS[..], flags, &["-o", file]].concat()).wait()
}

#[track_caller]
fn comparison(file: &str) -> Comparison {
    let document: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    assert_valid(&document);
    serde_json::from_value(document).unwrap()
}

#[test]
fn an_attempt_goes_on_with_the_starts_of_the_one_before_until_none_is_left() {
    let (first, second) = (scratch("first"), scratch("second"));
    let (first, second) = (first.to_str().unwrap(), second.to_str().unwrap());
    // Too short for as many starts as a verdict needs at this alpha, however fast the machine is.
    let flags = ["--attempts", "2", "--max-time", "1s", "--alpha", "0.01%"];
    let finished = compare(&flags, first);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!(finished.stdout.contains("1 of 2, which share the error"), "{}", finished.stdout);
    let then = comparison(first);
    assert_eq!(then.attempts, Some(Attempts { announced: 2, made: 1, passed: 1.0 }));

    let finished = compare(&[&flags[..], &["--resume", first]].concat(), second);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!(finished.stdout.contains("2 of 2, which share the error"), "{}", finished.stdout);
    let now = comparison(second);
    assert_eq!(now.attempts, Some(Attempts { announced: 2, made: 2, passed: 2.0 }));
    assert_eq!((now.began_at, now.change), (then.began_at, Change::Inconclusive));
    assert!(now.starts.len() > then.starts.len());
    let figures = |comparison: &Comparison, i: usize| json!(comparison.starts[i].pairs);
    assert!((0..then.starts.len()).all(|i| figures(&now, i) == figures(&then, i)), "all of the first is there");
    let added = &now.starts[then.starts.len()];
    assert!(added.at_seconds >= then.elapsed_seconds && now.elapsed_seconds > then.elapsed_seconds, "{added:?}");
    assert!(now.starts.is_sorted_by(|a, b| a.at_seconds < b.at_seconds));
    assert!(now.a.messages.verified > then.a.messages.verified);
    assert_eq!(now.a.server_config, then.a.server_config);
    let counted = |comparison: &Comparison| comparison.metrics[0].log_ratios.len();
    assert!(counted(&now) > counted(&then), "the first attempt's starts are judged again");

    let refused = compare(&[&flags[..], &["--resume", second]].concat(), first);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("--alpha") && refused.stderr.contains("--attempts 2"), "{}", refused.stderr);
    for file in [first, second] {
        fs::remove_file(file).unwrap();
    }
}

#[test]
fn an_interrupted_comparison_goes_on_with_what_is_left_of_its_time() {
    let file = scratch("interrupted");
    let file = file.to_str().unwrap();
    let flags = ["--max-time", "12s", "--alpha", "0.01%"];
    let run = loadgen(&[&OF_EQUALS[..], &flags, &["-o", file]].concat());
    std::thread::sleep(Duration::from_secs(8));
    run.signal(Signal::INT);
    let finished = run.wait();
    assert_eq!(finished.code, Some(130), "{}", finished.stderr);
    let then = comparison(file);
    assert_eq!((then.ended, then.attempts), (Ended::Interrupted, None));
    let finished = compare(&[&flags[..], &["--resume", file]].concat(), file);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let now = comparison(file);
    assert_ne!(now.ended, Ended::Interrupted);
    // Their starts are pooled, and so servers have as long to settle as before, however little is left.
    let longest = |comparison: &Comparison| comparison.warmup.as_ref().and_then(|warmup| warmup.max_seconds);
    assert_eq!((longest(&then), longest(&now)), (Some(0.8), Some(0.8)));
    assert!(now.starts.len() > then.starts.len());
    // The last start may begin just before the end.
    let last = now.starts.last().unwrap().at_seconds;
    assert!(last <= 12.0 && last >= then.elapsed_seconds, "{last} s, and {} s before", then.elapsed_seconds);
    fs::remove_file(file).unwrap();
}

#[test]
fn a_comparison_that_was_too_short_has_spent_nothing_and_goes_on_with_its_starts() {
    let file = scratch("too-short");
    let file = file.to_str().unwrap();
    // No start takes so little that nine fit.
    let flags: Vec<&str> = OF_EQUALS.into_iter().filter(|flag| *flag != "--force").collect();
    let flags = [&flags[..], &["--max-time", "1s", "-o", file]].concat();
    let finished = loadgen(&flags).wait();
    assert_eq!(finished.code, Some(98), "{}", finished.stderr);
    let then = comparison(file);
    assert_eq!(then.ended, Ended::TooShort);
    assert!(then.metrics.iter().all(|metric| metric.ruling.is_none()), "nothing was looked at: {:?}", then.metrics);
    let resumed = |max_time: &str| {
        let mut flags = flags.clone();
        let time = flags.iter().position(|flag| *flag == "1s").unwrap();
        flags[time] = max_time;
        loadgen(&[&flags[..], &["--resume", file, "--force"]].concat()).wait()
    };
    let refused = resumed("500ms");
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("rules.max_time_seconds: 1 there, 0.5 here"), "{}", refused.stderr);
    let finished = resumed("2s");
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let now = comparison(file);
    assert!(now.starts.len() > then.starts.len() && now.ended != Ended::TooShort, "{:?}", now.ended);
    // Their starts are pooled.
    let longest = |comparison: &Comparison| comparison.warmup.as_ref().and_then(|warmup| warmup.max_seconds);
    assert_eq!((now.rules.max_time_seconds, longest(&now)), (2.0, longest(&then)));
    fs::remove_file(file).unwrap();
}

#[test]
fn another_comparison_and_a_damaged_file_are_refused_and_the_field_is_named() {
    let (file, changed) = (scratch("asked"), scratch("changed"));
    let (file, changed) = (file.to_str().unwrap(), changed.to_str().unwrap());
    let flags = ["--attempts", "2", "--max-time", "1s", "--alpha", "0.01%"];
    assert_eq!(compare(&flags, file).code, Some(0));
    let resumed = |more: &[&str], file: &str| {
        let finished = loadgen(&[&OF_EQUALS[..], more, &["--resume", file]].concat()).wait();
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(2), ""), "{}", finished.stderr);
        finished.stderr
    };
    let [attempts, max_time, alpha] = [&flags[..2], &flags[2..4], &flags[4..]];
    for (others, field) in [
        ([&["--attempts", "3"][..], max_time, alpha], "attempts.announced: 2 there, 3 here"),
        ([attempts, &["--max-time", "2s"], alpha], "rules.max_time_seconds: 1 there, 2 here"),
        ([attempts, max_time, &["--alpha", "5%"]], "rules.alpha: 0.0001 there, 0.05 here"),
        ([&flags[..], &["--seed", "2"], &[]], "seed: 1 there, 2 here"),
        ([&flags[..], &["--in-flight", "3"], &[]], "plan.load"),
        (
            [&flags[..], &["--gate", "throughput"], &[]],
            "the gated metrics: server.cpu there, throughput, server.cpu here",
        ),
        ([&flags[..], &["--fail-on-regression"], &[]], "rules.fail_on_regression: false there, true here"),
    ] {
        let said = resumed(&others.concat(), file);
        let field = field.split(", ").next().unwrap();
        assert!(said.contains(field) && said.contains("--resume"), "{field} is missing in {said}");
    }
    let saved: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    for (pointer, value, words) in [
        ("/starts", json!([]), "starts"),
        ("/starts/0/pairs/0/a/server-cpu", json!(-1.0), "starts[0]: server.cpu of -1"),
        ("/elapsed_seconds", json!(-1.0), "elapsed_seconds"),
        ("/attempts/passed", json!(7.0), "attempts"),
        ("/ended", json!("decided"), "is decided"),
        ("/trust/level", json!("not-valid"), "not to be trusted"),
        ("/b/target", json!("ws://127.0.0.1:1/"), "b.target"),
        ("/environment/kernel", json!("0.1"), "kernel: 0.1 there"),
        ("/schema", json!("fathom/other/v1"), "its schema"),
    ] {
        let mut document = saved.clone();
        *document.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer} in {saved}")) = value;
        fs::write(changed, document.to_string()).unwrap();
        let said = resumed(&flags, changed);
        assert!(said.contains(words) && said.contains(changed), "{pointer}: {words} is missing in {said}");
    }
    fs::write(changed, "{").unwrap();
    assert!(resumed(&flags, changed).contains("not a report"));
    fs::remove_file(file).unwrap();
    fs::remove_file(changed).unwrap();
}
