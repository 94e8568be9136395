//! Memory of held connections: that of a server that frees it, and how it stands on a page.

use std::fs;

use super::{converted, file, finished, trickling};

#[test]
fn memory_that_a_server_frees_is_seen_to_return() {
    // What is kept of a connection's earlier messages to compress by them, up to 220 KiB of each, is freed with it.
    let keeps = "--threads 1 --permessage-deflate on --deflate-context-takeover both";
    let flags = ["--server", keeps, "--permessage-deflate", "--deflate-context-takeover", "both", "-n", "100"];
    let report = trickling(&[&flags[..], &["--hold", "1s", "--trickle", "250ms"]].concat());
    let [before, held, after] =
        ["before", "held", "after"].map(|point| report.number(&format!("/memory/{point}/user_bytes")));
    assert!(held - before > 100.0 * 16.0 * 1024.0, "{before} {held}");
    assert!(after < held, "{held} {after}");
    let returned = report.number("/memory/user_returned");
    assert!(returned > 0.5, "{returned} of {} bytes", held - before);
}

#[test]
fn a_page_shows_the_memory_the_times_and_what_became_of_them() {
    let saved = file("page.json");
    let path = saved.to_str().unwrap();
    let flags = ["-n", "16", "--steps", "8", "--hold", "100ms", "--trickle", "20ms", "--storm", "--churn", "20"];
    let text = finished(&[&flags[..], &["--threshold", "storm.failed==0", "--format", "json", "-o", path]].concat());
    assert!(matches!(text.code, Some(0 | 98)), "{}", text.stderr);
    // What memory there is is the machine's affair.
    let mut report: serde_json::Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    report["memory"]["before"]["user_bytes"] = (10 << 20).into();
    for step in 0..8usize {
        report["memory"]["steps"][step]["user_bytes"] = ((11 + step) << 20).into();
        report["memory"]["steps"][step]["kernel_bytes"] = serde_json::Value::Null;
    }
    fs::write(path, report.to_string()).unwrap();
    let page = converted(path, "html").stdout;
    let figures: Vec<&str> = page.split("<figure").skip(1).collect();
    assert_eq!(figures.len(), 1, "of the kernel's memory nothing is known");
    assert!(figures[0].contains("User memory of the server"), "{}", figures[0]);
    // Once on a wide screen and once on a narrow one, a line through eight dots.
    assert_eq!((figures[0].matches("<polyline").count() >= 2, figures[0].matches("<circle").count()), (true, 16));
    for words in [
        "<th scope=\"row\">step 8</th><td class=\"number\">16</td><td class=\"number\">18.0 MiB</td><td class=\"number\">-</td>",
        "with churn",
        "wait after storm",
        "16 connections dropped in",
        "16 of 16 opened",
        "20.0 a second asked for",
        "all at once, in",
        "storm.failed == 0",
        report["target"].as_str().unwrap(),
    ] {
        assert!(page.contains(words), "{words} is missing in: {page}");
    }
    fs::remove_file(&saved).unwrap();
}
