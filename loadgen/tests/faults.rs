//! Servers that do wrong, and what the report and the exit code say of it.

mod binary;
#[path = "faults/servers.rs"]
mod servers;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, process};

use binary::{Json, converted, loadgen};
use servers::{Behaviour, PING, echo, frame, greeting_server, server};
use wire::OpCode;

/// Sends 1,000 messages over two connections, four in flight on each, and expects this exit code.
fn thousand_messages(behaviour: Behaviour, code: i32) -> Json {
    thousand_messages_to(&server(behaviour), &["--in-flight", "4", "--drain-timeout", "1s"], code)
}

/// Sends 1,000 messages over two connections to this server, and expects this exit code.
fn thousand_messages_to(url: &str, flags: &[&str], code: i32) -> Json {
    let run = ["run", url, "-c", "2", "--messages", "1000", "--warmup", "0s", "--format", "json"];
    loadgen(&[&run[..], flags].concat()).json(or_untrusted(code))
}

/// This exit code, or 98 where it stands for figures that are to be trusted: a machine that is busy may withhold time.
fn or_untrusted(code: i32) -> &'static [i32] {
    match code {
        0 => &[0, 98],
        1 => &[1],
        99 => &[98, 99],
        _ => unreachable!("{code}"),
    }
}

fn counts(report: &Json) -> [f64; 7] {
    ["sent", "received", "verified", "corrupted", "reordered", "lost", "unexpected"]
        .map(|name| report.number(&format!("/messages/{name}")))
}

#[test]
fn a_right_server_is_verified_whatever_its_frames_look_like() {
    let report = thousand_messages(
        |n, payload, _| match n % 3 {
            0 => echo(&payload),
            1 => {
                let mut first = frame(OpCode::Binary, &payload[..10]);
                first[0] &= 0x7f;
                [first, frame(OpCode::Ping, PING), frame(OpCode::Continuation, &payload[10..])].concat()
            }
            _ => [frame(OpCode::Pong, b"unasked"), echo(&payload)].concat(),
        },
        0,
    );
    assert_eq!(counts(&report), [1000.0, 1000.0, 1000.0, 0.0, 0.0, 0.0, 0.0]);
}

#[test]
fn a_corrupted_reply_is_an_error_and_no_latency() {
    let report = thousand_messages(
        |n, mut payload, _| {
            if n == 7 {
                payload[63] ^= 1;
            }
            echo(&payload)
        },
        1,
    );
    assert_eq!(counts(&report), [1000.0, 1000.0, 998.0, 2.0, 0.0, 0.0, 0.0]);
    assert_eq!(report.number("/latency/count"), 998.0);
}

#[test]
fn a_reply_that_never_comes_is_lost() {
    let report = thousand_messages(|n, payload, _| if n == 7 { Vec::new() } else { echo(&payload) }, 1);
    assert_eq!(counts(&report), [1000.0, 998.0, 998.0, 0.0, 0.0, 2.0, 0.0]);
}

#[test]
fn a_reply_that_never_comes_in_the_warm_up_is_lost_too() {
    let url = server(|n, payload, _| if n == 0 { Vec::new() } else { echo(&payload) });
    let phases = ["--warmup", "2500ms", "-d", "100ms", "--drain-timeout", "200ms", "--format", "json"];
    let run = loadgen(&[&["run", &url, "-c", "2"][..], &phases].concat());
    let report = run.json(&[1]);
    assert_eq!(report.number("/warmup_errors/lost"), 2.0, "both connections are silent from the first message on");
    assert_eq!(counts(&report)[5], 0.0);
}

/// Every message of the warm-up is answered wrongly, and most of them are sent in it.
#[test]
fn errors_of_the_warm_up_are_no_part_of_the_measured_phase() {
    fn wrong_before_200(n: usize, mut payload: Vec<u8>, _: &mut Vec<Vec<u8>>) -> Vec<u8> {
        payload[63] ^= u8::from(n < 200);
        echo(&payload)
    }
    let run = |flags: &[&str]| {
        let url = server(wrong_before_200);
        let common = ["run", &url, "-c", "1", "--rate", "200", "--warmup", "2s", "-d", "500ms", "--format", "json"];
        loadgen(&[&common[..], flags].concat()).wait()
    };
    let limited = run(&["--threshold", "errors.rate<1%", "--threshold", "errors==0"]);
    assert!(matches!(limited.code, Some(0 | 98)), "{:?} {}", limited.code, limited.stderr);
    let limited = Json(serde_json::from_str(&limited.stdout).unwrap());
    assert_eq!((counts(&limited)[3], limited.number("/warmup_errors/corrupted")), (0.0, 200.0));
    let plain = run(&[]);
    assert_eq!(plain.code, Some(1), "without limits errors of the warm-up fail the run");
    let saved = env::temp_dir().join(format!("fathom-warm-up-{}.json", process::id()));
    fs::write(&saved, plain.stdout).unwrap();
    let path = saved.to_str().unwrap();
    let said = "in the warm-up, not part of the rates and limits: corrupted: 200";
    for format in ["text", "html", "markdown", "junit"] {
        let shown = converted(path, format).stdout;
        assert!(shown.split_whitespace().collect::<Vec<_>>().join(" ").contains(said), "{format}: {shown}");
    }
    assert!(converted(path, "junit").stdout.contains("<failure"));
    assert!(converted(path, "csv").stdout.contains(",warmup_errors,"));
    assert!(converted(path, "openmetrics").stdout.contains("outcome=\"corrupted\"} 200"));
    fs::remove_file(&saved).unwrap();
}

#[test]
fn a_server_that_falls_silent_ends_the_run() {
    let report = thousand_messages(|n, payload, _| if n < 100 { echo(&payload) } else { Vec::new() }, 1);
    assert_eq!(counts(&report), [208.0, 200.0, 200.0, 0.0, 0.0, 8.0, 0.0]);
}

#[test]
fn a_reply_after_a_later_one_is_reordered() {
    let report = thousand_messages(
        |n, payload, held| {
            if n == 2 {
                held.push(payload);
                return Vec::new();
            }
            let late = held.pop().map(|late| echo(&late)).unwrap_or_default();
            [echo(&payload), late].concat()
        },
        1,
    );
    assert_eq!(counts(&report), [1000.0, 1000.0, 998.0, 0.0, 2.0, 0.0, 0.0]);
}

#[test]
fn a_reply_given_twice_is_unexpected() {
    let report = thousand_messages(|n, payload, _| echo(&payload).repeat(if n == 7 { 2 } else { 1 }), 1);
    assert_eq!(counts(&report), [1000.0, 1000.0, 1000.0, 0.0, 0.0, 0.0, 2.0]);
}

#[test]
fn a_reply_of_the_other_type_is_corrupted() {
    let report = thousand_messages(|_, payload, _| frame(OpCode::Text, &payload), 1);
    assert_eq!(counts(&report), [1000.0, 1000.0, 0.0, 1000.0, 0.0, 0.0, 0.0]);
}

#[test]
fn a_connection_that_the_server_closes_is_dropped_and_its_messages_are_lost() {
    let report = thousand_messages(
        |n, payload, _| {
            if n == 100 { frame(OpCode::Close, &[&1001u16.to_be_bytes()[..], b"bye"].concat()) } else { echo(&payload) }
        },
        1,
    );
    assert_eq!(report.number("/connections/dropped"), 2.0);
    assert_eq!(report.number("/messages/verified"), 200.0);
    let failures = report.0["failures"].as_object().unwrap();
    assert_eq!(failures.iter().collect::<Vec<_>>(), [(&"closed by the server with code 1001 (bye)".into(), &2.into())]);
    assert_eq!(report.0["trust"]["valid"], false);
}

#[test]
fn a_server_that_breaks_the_protocol_is_named() {
    for (behaviour, expected) in [
        ((|_, _, _| vec![0xc2, 0x00]) as Behaviour, "reserved bit"),
        (|_, _, _| vec![0x82, 0x80, 1, 2, 3, 4], "mask"),
        (|_, _, _| vec![0x80, 0x00], "a continuation without"),
    ] {
        let report = thousand_messages(behaviour, 1);
        let failures = report.0["failures"].to_string();
        assert!(failures.contains(expected), "{failures}, expected {expected}");
    }
}

/// The kinds of wrong messages that a report names, with their number.
fn mismatches(report: &Json) -> Vec<(&str, u64)> {
    let mismatches = report.0["mismatches"].as_array().unwrap().iter();
    mismatches.map(|mismatch| (mismatch["kind"].as_str().unwrap(), mismatch["times"].as_u64().unwrap())).collect()
}

#[test]
fn a_reply_longer_than_any_message_is_wrong_and_no_violation() {
    for (behaviour, kind) in [
        ((|_, payload, _| echo(&[&payload[..], b"\n"].concat())) as Behaviour, "length"),
        (|_, _, _| frame(OpCode::Text, &[b'{'; 1000]), "type"),
        (|_, _, _| [[0x02, 0x40].to_vec(), vec![b'x'; 64], frame(OpCode::Continuation, b"more")].concat(), "length"),
    ] {
        for in_flight in ["1", "4"] {
            let report = thousand_messages_to(&server(behaviour), &["--in-flight", in_flight], 1);
            assert_eq!(counts(&report), [1000.0, 1000.0, 0.0, 1000.0, 0.0, 0.0, 0.0]);
            assert_eq!((report.number("/connections/dropped"), mismatches(&report)), (0.0, vec![(kind, 1000)]));
        }
    }
}

#[test]
fn a_server_that_is_left_is_told_why() {
    for (behaviour, failure, code) in [
        (
            (|_, _, _| vec![0x82, 127, 0, 0, 0, 0, 1, 0, 0, 1, b'x', b'y', b'z']) as Behaviour,
            "longer than 16,777,216 bytes",
            1009u16,
        ),
        (|_, _, _| vec![0xc2, 0], "reserved bit", 1002),
    ] {
        let (url, closes) = greeting_server(Vec::new(), behaviour);
        let report = thousand_messages_to(&url, &[], 1);
        let failures = report.0["failures"].to_string();
        assert!(failures.contains(failure), "{failures}");
        assert_eq!(closes.recv_timeout(Duration::from_secs(30)).unwrap(), code.to_be_bytes());
    }
}

#[test]
fn a_push_is_unexpected_and_takes_no_reply_away() {
    // The true reply comes only once the next message has: a wrong one must not keep it from being sent.
    let push_then_reply: Behaviour = |n, payload, held| {
        if n == 7 {
            held.push(payload);
            return frame(OpCode::Text, b"news of the day");
        }
        let late = held.pop().map(|late| echo(&late)).unwrap_or_default();
        [late, echo(&payload)].concat()
    };
    for in_flight in ["1", "4"] {
        let report = thousand_messages_to(&server(push_then_reply), &["--in-flight", in_flight], 1);
        assert_eq!(counts(&report), [1000.0, 1000.0, 1000.0, 0.0, 0.0, 0.0, 2.0], "{in_flight} in flight");
        assert_eq!(mismatches(&report), [("unasked", 2)]);
        assert_eq!(report.0["mismatches"][0]["got"]["excerpt"], "news of the day");
        assert_eq!(report.number("/latency/count"), 1000.0);
    }
}

#[test]
fn the_true_reply_to_the_last_message_is_waited_for() {
    let late: Behaviour = |n, payload, held| {
        if n < 4 {
            return echo(&payload);
        }
        held.push(payload);
        [frame(OpCode::Text, b"news"), frame(OpCode::Ping, PING)].concat()
    };
    let url = server(late);
    let run = ["run", &url, "-c", "1", "--messages", "5", "--warmup", "0s", "--format", "json"];
    let report = loadgen(&run).json(&[1]);
    assert_eq!(counts(&report), [5.0, 5.0, 5.0, 0.0, 0.0, 0.0, 1.0]);
}

#[test]
fn what_was_wrong_is_shown_in_every_format_to_read() {
    let url = server(|_, payload, _| frame(OpCode::Text, &payload));
    let file = concat!(env!("CARGO_TARGET_TMPDIR"), "/wrong-type.json");
    let run = ["run", &url, "-c", "1", "--messages", "50", "--warmup", "0s", "-q", "-o", file];
    let text = loadgen(&run).wait();
    assert_eq!(text.code, Some(1), "{}", text.stderr);
    assert!(text.stdout.contains("no reply was right: 50 came") && !text.stdout.contains("was answered"));
    let mut shown = vec![text.stdout];
    for format in ["markdown", "html", "junit"] {
        shown.push(loadgen(&["report", file, "--to", format]).wait().stdout);
    }
    for shown in &shown[..3] {
        assert!(shown.contains("none of the replies that the throughput counts was right"), "{shown}");
    }
    for shown in shown {
        assert!(shown.contains("50 times: text instead of binary, 64 bytes, beginning"), "{shown}");
    }
}

#[test]
fn a_greeting_counts_unless_it_is_passed_over() {
    let greeting = [frame(OpCode::Text, b"hello"), frame(OpCode::Binary, &[7; 70_000])].concat();
    let (url, _) = greeting_server(greeting, |_, payload, _| echo(&payload));
    for (skipped, code, unexpected) in [("0", 1, 4.0), ("1", 1, 2.0), ("2", 0, 0.0), ("3", 0, 0.0)] {
        let report = thousand_messages_to(&url, &["--skip-messages", skipped], code);
        assert_eq!(counts(&report), [1000.0, 1000.0, 1000.0, 0.0, 0.0, 0.0, unexpected], "{skipped} passed over");
    }
    let compare = ["compare", "--a", &url, "--b", &url, "-c", "1", "--restart-every", "1", "--max-time", "1s", "-q"];
    let finished = loadgen(&compare).wait();
    assert_eq!(finished.code, Some(1), "{}", finished.stdout);
    let hello = "a message that nothing had asked for: text, 5 bytes, beginning \"hello\"";
    assert!(finished.stderr.contains(hello), "{}", finished.stderr);
    // A busy machine may measure nothing in this time.
    let finished = loadgen(&[&compare[..], &["--skip-messages", "2"]].concat()).wait();
    assert!(!finished.stderr.contains("asked for"), "{}", finished.stderr);
}

/// A thousand messages over one connection to a server that never answers two of them, held against this limit.
fn two_are_lost(limit: &str, code: i32) -> Json {
    let url = server(|n, payload, _| if n == 7 || n == 8 { Vec::new() } else { echo(&payload) });
    let flags = ["run", &url, "-c", "1", "--in-flight", "4", "--messages", "1000", "--warmup", "0s"];
    let rest = ["--drain-timeout", "1s", "--threshold", limit, "--format", "json"];
    loadgen(&[&flags[..], &rest].concat()).json(or_untrusted(code))
}

#[test]
fn a_limit_on_errors_says_how_many_are_too_many() {
    for (limit, code, outcome) in [
        ("errors.rate<10%", 0, "met"),
        ("rate<0.1", 0, "met"),
        ("errors<=2", 0, "met"),
        ("errors.rate<0.1%", 99, "crossed"),
        ("errors==0", 99, "crossed"),
        ("latency.p99<10s", 1, "met"),
    ] {
        let report = two_are_lost(limit, code);
        assert_eq!(counts(&report)[5], 2.0, "{limit}");
        assert_eq!(report.0["thresholds"][0]["outcome"], outcome, "{limit}");
    }
}

#[test]
fn an_open_loop_that_loses_as_many_as_it_may_is_no_queue_that_grows() {
    let url = server(|n, payload, _| if n % 20 == 7 { Vec::new() } else { echo(&payload) });
    let run = |limit: &[&str], codes: &[i32]| {
        let flags = ["run", &url, "-c", "1", "--rate", "100", "-d", "2s", "--warmup", "0s", "--drain-timeout", "3s"];
        loadgen(&[&flags[..], limit, &["--format", "json"]].concat()).json(codes)
    };
    // The machine may make the generator late.
    let allowed = run(&["--threshold", "errors.rate<10%", "--threshold", "latency.p99<100s"], &[0, 98]);
    assert_eq!(counts(&allowed)[5], 10.0);
    let trust = &allowed.0["trust"];
    assert!(trust["notes"].to_string().contains("nothing of 10 messages that were lost"), "{trust}");
    assert!(!trust["reasons"].to_string().contains("queue"), "{trust}");
    run(&[], &[1]);
}

#[test]
fn a_limit_on_errors_or_connect_times_ends_the_run_early_if_asked_to() {
    let url = server(|_, payload, _| frame(OpCode::Text, &payload));
    for limit in ["errors==0", "errors.rate<1%", "rate<0.01", "connect.p99<1ns"] {
        let started = Instant::now();
        let flags = ["run", &url, "-c", "2", "--rate", "100", "-d", "60s", "--warmup", "0s", "--format", "json"];
        let run = loadgen(&[&flags[..], &["--threshold", limit, "--abort-on-fail"]].concat());
        let report = run.json(&[if limit.starts_with("connect") { 1 } else { 99 }]);
        assert_eq!(report.0["aborted"], true, "{limit}");
        assert!(started.elapsed() < Duration::from_secs(40), "{limit}: {:?}", started.elapsed());
    }
}

#[test]
fn connections_that_the_server_closes_behind_the_last_reply_lose_nothing() {
    let url = server(|n, payload, _| {
        let close = frame(OpCode::Close, &1000u16.to_be_bytes());
        if n == 9 { [echo(&payload), close].concat() } else { echo(&payload) }
    });
    let report = loadgen(&["run", &url, "-c", "1", "--messages", "10", "--warmup", "0s", "--format", "json"]);
    // Whether the Close frame is read depends on when it comes.
    let report = report.json(&[0, 98]);
    assert_eq!(counts(&report)[..3], [10.0; 3]);
    assert_eq!(report.0["all_lost_after_seconds"], serde_json::Value::Null);
}

#[test]
fn what_a_worker_without_connections_had_to_send_is_lost() {
    static CLOSED: AtomicBool = AtomicBool::new(false);
    let url = server(|n, payload, _| match n == 10 && !CLOSED.swap(true, Ordering::Relaxed) {
        true => frame(OpCode::Close, &1001u16.to_be_bytes()),
        false => echo(&payload),
    });
    let flags = ["run", &url, "-c", "2", "--threads", "2", "--rate", "100", "-d", "2s", "--warmup", "0s"];
    let limits = ["--threshold", "achieved>=99%", "--threshold", "latency.p99<100s", "--format", "json"];
    let report = loadgen(&[&flags[..], &limits].concat()).json(&[1]);
    let [_, _, verified, _, _, lost, _] = counts(&report);
    assert_eq!((verified, lost), (110.0, 90.0), "each of them had 100 to send");
    assert_eq!(report.0["thresholds"][0]["outcome"], "crossed");
    assert_eq!(report.0["all_lost_after_seconds"], serde_json::Value::Null, "the other one was left");
}
