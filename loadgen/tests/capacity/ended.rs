//! What ends a search before it has found anything: servers that do wrong, an interruption, a time that is too short.

use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::binary::{EmbeddedServer, Finished, converted, loadgen, wait_until};
use crate::servers::{echo, server};
use crate::{assert_valid, capacity, file, finished, probes, quick};

/// Messages that the server of a test has got.
static GOT: AtomicUsize = AtomicUsize::new(0);

/// Five connections hold 1,250 messages a second together at the most, so that as many are in the closed loop, and rates below
/// are offered before more have come.
fn in_four_milliseconds(payload: &[u8]) -> Vec<u8> {
    GOT.fetch_add(1, Ordering::Relaxed);
    thread::sleep(Duration::from_millis(4));
    echo(payload)
}

/// A search of probes of half a second up to 1,000/s.
const UP_TO_A_THOUSAND: [&str; 8] = ["--warmup", "0s", "--probe", "500ms", "--min-rate", "20", "--max-rate", "1k"];

/// The document and the text that a search has ended with.
#[track_caller]
fn ended_with(code: i32, ended: &Finished, saved: &std::path::Path) -> serde_json::Value {
    assert_eq!(ended.code, Some(code), "{}", ended.stderr);
    let report: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(saved).unwrap()).unwrap();
    assert_valid(&report);
    assert_eq!(converted(saved.to_str().unwrap(), "text").stdout.trim_end(), ended.stdout.trim_end());
    std::fs::remove_file(saved).unwrap();
    assert!(!report["probes"].as_array().unwrap().is_empty());
    report
}

/// Text without its line breaks.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_server_that_answers_wrongly_ends_it_with_the_cause() {
    let wrong = server(|n, mut payload, _| {
        payload[5] ^= u8::from(n == 1);
        echo(&payload)
    });
    let ended = finished(&[&[wrong.as_str(), "--slo", "latency.p50<1s"], &quick(&[])[..]].concat());
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("corrupted"), "{}", ended.stderr);
}

#[test]
fn a_server_that_refuses_or_never_answers_ends_it_with_the_cause() {
    let silent = server(|_, _, _| Vec::new());
    let ended = finished(
        &[&[silent.as_str(), "--slo", "latency.p50<1s", "--drain-timeout", "300ms"], &quick(&[])[..]].concat(),
    );
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("were lost"), "{}", ended.stderr);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    drop(listener);
    let refused = finished(&[url.as_str(), "--slo", "latency.p50<1s"]);
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    assert!(refused.stderr.contains("refused"), "{}", refused.stderr);
}

#[test]
fn a_server_that_takes_connections_and_never_answers_the_handshake_ends_it_with_the_cause() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    thread::spawn(move || listener.incoming().collect::<Vec<_>>());
    let silent = finished(&[&url, "--slo", "latency.p50<1s", "-c", "3", "--connect-timeout", "300ms"]);
    assert_eq!(silent.code, Some(1), "{}", silent.stderr);
    assert!(silent.stderr.contains("sent nothing within 300ms"), "{}", silent.stderr);
    assert_eq!(silent.stdout, "");
}

#[test]
fn a_server_that_dies_half_way_ends_it_and_what_was_found_is_kept() {
    // After the closed loop and a probe at least, before the highest rate is proven.
    let mortal = server(|_, payload, _| {
        if GOT.load(Ordering::Relaxed) > 2_500 {
            std::panic::resume_unwind(Box::new("it dies"));
        }
        in_four_milliseconds(&payload)
    });
    let saved = file("died.json");
    let flags = [&mortal, "--slo", "latency.p50<4s", "--output", saved.to_str().unwrap()];
    let ended = finished(&[&flags[..], &UP_TO_A_THOUSAND, &quick(&UP_TO_A_THOUSAND)[..]].concat());
    let report = ended_with(1, &ended, &saved);
    assert_eq!(report["answer"]["verdict"], "inconclusive");
    assert!(report["failure"].as_str().unwrap().contains("lost"), "{}", report["failure"]);
    let text = flat(&ended.stdout);
    assert!(text.starts_with("capacity: failed inconclusive: "), "{text}");
    assert!(text.contains("ended early: ") && text.contains("it seems to lie between "), "{text}");
}

#[test]
fn a_server_that_slows_down_ends_it_in_time_with_the_limit_that_it_breaks() {
    // From then on no rate keeps the limit.
    let slowing = server(|_, payload, _| {
        if GOT.load(Ordering::Relaxed) > 2_500 {
            thread::sleep(Duration::from_millis(100));
        }
        in_four_milliseconds(&payload)
    });
    let flags = [
        &[slowing.as_str(), "--slo", "latency.p50<60ms", "--max-time", "20s", "--drain-timeout", "1s"],
        &UP_TO_A_THOUSAND[..],
    ]
    .concat();
    // Where the machine is busy, the generator may have been late, or the time over before the lowest rate was proven to break.
    let report = capacity(&flags, &[95, 96, 98]);
    assert!(report.number("/elapsed_seconds") < 60.0, "{}", report.0["elapsed_seconds"]);
    assert_eq!(report.0["failure"], serde_json::Value::Null);
    let all = probes(&report, "probes");
    assert_ne!(all.last().unwrap()["outcome"], "passed");
    let answer = &report.0["answer"];
    match answer["why"].as_str() {
        Some(why) if answer["verdict"] == "below-range" => assert!(why.contains("latency.p50 < 60"), "{answer}"),
        Some(why) => assert!(why.contains("latency.p50"), "{answer}"),
        None => assert_ne!(answer["verdict"], "below-range", "{answer}"),
    }
}

#[test]
fn an_interruption_keeps_what_was_found() {
    let slow = server(|_, payload, _| in_four_milliseconds(&payload));
    let saved = file("interrupted.json");
    let flags = [&slow, "--slo", "latency.p50<4s", "--output", saved.to_str().unwrap()];
    let run = loadgen(&[&["capacity", "-q"], &flags[..], &UP_TO_A_THOUSAND, &quick(&UP_TO_A_THOUSAND)].concat());
    wait_until("a probe was made", || GOT.load(Ordering::Relaxed) > 2_500);
    run.signal(Signal::INT);
    let ended = run.wait();
    let report = ended_with(130, &ended, &saved);
    assert_eq!((report["interrupted"].clone(), report["failure"].clone()), (true.into(), serde_json::Value::Null));
    assert_eq!(report["answer"]["verdict"], "inconclusive");
    let text = flat(&ended.stdout);
    assert!(text.starts_with("capacity: interrupted inconclusive: "), "{text}");
    assert!(text.contains("it seems to lie between "), "{text}");
}

#[test]
fn the_time_is_kept_and_what_is_left_is_said() {
    let server = EmbeddedServer::start(&[]);
    let flags = ["--slo", "latency.p50<4s", "--min-rate", "10", "--max-rate", "1k", "--max-time", "3s"];
    let report = capacity(&[&[server.url.as_str()], &flags[..], &["--probe", "700ms"]].concat(), &[98]);
    assert_eq!(report.0["answer"]["verdict"], "inconclusive");
    // A probe that has begun is not cut short, and the machine may be busy.
    assert!(report.number("/elapsed_seconds") < 30.0, "{}", report.0["elapsed_seconds"]);
    assert!(report.number("/answer/needs_seconds") > 0.0);
    assert!(report.number("/answer/narrowed/low") <= report.number("/answer/narrowed/high"));
}
