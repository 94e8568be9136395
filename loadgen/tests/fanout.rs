//! The real program measuring relays: deliveries, reach, order, rooms, disturbances, limits, and relays that do wrong.

mod benchfmt;
mod binary;
#[path = "fanout/command.rs"]
mod command;
#[path = "fanout/losses.rs"]
mod losses;
#[path = "fanout/relay.rs"]
mod relay;
#[path = "faults/servers.rs"]
#[allow(dead_code, reason = "the tests of faults use the rest")]
mod servers;
#[path = "fanout/wrong.rs"]
mod wrong;

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;

use binary::{EmbeddedServer, Finished, Json, loadgen, wait_until};
use relay::{Relay, To, plain};
use rustix::process::Signal;

/// Measures with these flags for a second and expects one of these exit codes; the report. A machine that is too busy for
/// the rate makes it 98.
fn measured(url: &str, flags: &[&str], codes: &[i32]) -> Json {
    measured_for("1s", url, flags, codes)
}

fn measured_for(duration: &str, url: &str, flags: &[&str], codes: &[i32]) -> Json {
    let common = ["-q", "--format", "json", "-d", duration, "--warmup", "200ms", "--senders", "2", "--receivers", "6"];
    loadgen(&[&["fanout", url][..], &common, flags].concat()).json(codes)
}

fn finished(flags: &[&str]) -> Finished {
    loadgen(&[&["fanout", "-q"], flags].concat()).wait()
}

fn file(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("fathom-fanout-{}-{name}", std::process::id()))
}

#[track_caller]
fn assert_valid(document: &serde_json::Value) {
    let schema = serde_json::from_str(include_str!("../schema/fanout-v1.schema.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> = validator.iter_errors(document).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

/// Deliveries, by what became of them: expected, received, lost, duplicated, out of order, altered (no number where they were not
/// compared), unexpected.
fn deliveries(report: &Json, part: &str) -> [f64; 7] {
    ["expected", "received", "lost", "duplicated", "out_of_order", "altered", "unexpected"].map(|name| {
        let pointer = format!("{part}/{name}");
        if report.0.pointer(&pointer) == Some(&serde_json::Value::Null) { f64::NAN } else { report.number(&pointer) }
    })
}

#[test]
fn every_message_reaches_every_receiver() {
    let report = measured(&plain().start(), &["--rate", "50", "--size", "200"], &[0, 98]);
    assert_valid(&report.0);
    assert_eq!(deliveries(&report, "/deliveries"), [300.0, 300.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    let messages =
        ["due", "sent", "unsent", "returned", "to_senders"].map(|n| report.number(&format!("/messages/{n}")));
    // The senders get each other's, those of the warm-up too.
    assert_eq!(messages, [50.0, 50.0, 0.0, 0.0, 60.0]);
    for of in ["senders", "receivers"] {
        assert_eq!(report.number(&format!("/{of}/requested")), report.number(&format!("/{of}/established")));
    }
    assert_eq!((report.number("/latency/count"), report.number("/everyone/count")), (300.0, 50.0));
    assert_eq!((report.number("/skew/count"), report.number("/reach/share")), (50.0, 1.0));
    let by = ["p50", "p99", "last"].map(|share| report.number(&format!("/reach/{share}")));
    assert!(by[0] <= by[1] && by[1] <= by[2], "{by:?}");
    assert_eq!(report.number("/reach/last"), report.number("/latency/max"));
    assert_eq!(report.number("/everyone/max"), report.number("/latency/max"), "the last delivery is a message's last");
    assert!(report.number("/skew/max") <= report.number("/everyone/max"));
    assert_eq!((report.number("/asked/rooms"), report.number("/reach/everyone_share")), (1.0, 1.0));
    assert_eq!(report.number("/environment/plan/message/size/0"), 200.0);
    assert_eq!(report.0["compared"], true);
    let saved = file("every.json");
    fs::write(&saved, report.0.to_string()).unwrap();
    let shown = binary::converted(saved.to_str().unwrap(), "text").stdout;
    fs::remove_file(&saved).unwrap();
    let back = "from the beginning, warm-up included,\n              senders got 0 of their own and 60 of others\n";
    assert!(shown.contains(back), "{shown}");
}

#[test]
fn messages_of_a_burst_are_due_at_once() {
    // Every 0.8 s: of the two bursts one lies in the warm-up, and one in the second after it, in which 50 single messages would.
    let report = measured(&plain().start(), &["--rate", "50", "--burst", "40"], &[0, 98]);
    assert_valid(&report.0);
    assert_eq!(deliveries(&report, "/deliveries"), [240.0, 240.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!((report.number("/asked/burst"), report.number("/messages/due")), (40.0, 40.0));
}

#[test]
fn rooms_keep_their_messages_to_themselves_and_threads_share_them_out() {
    let flags = ["--rooms", "2", "--rate", "40", "--threads", "2", "--text"];
    let report = measured(&plain().start(), &flags, &[0, 98]);
    // Each message goes to the three receivers of its room.
    assert_eq!(deliveries(&report, "/deliveries"), [120.0, 120.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!((report.number("/everyone/count"), report.number("/messages/to_senders")), (40.0, 0.0));
    assert_eq!(report.0["environment"]["plan"]["message"]["kind"], "text");
    let url = format!("{}chat/{{room}}/x", plain().start());
    let report = measured(&url, &["--rooms", "2", "--rate", "40"], &[0, 98]);
    assert_eq!(deliveries(&report, "/deliveries")[..2], [120.0, 120.0]);
    // A relay that knows no rooms sends everything to everybody.
    let one_room = format!("{}?room=", plain().start());
    let everywhere: Relay = Relay { to: To::All, ..plain() };
    let report = measured(&everywhere.start(), &["--rate", "40"], &[0, 98]);
    assert_eq!((deliveries(&report, "/deliveries")[1], report.number("/messages/returned")), (240.0, 48.0));
    assert!(
        finished(&[&one_room, "--rooms", "3", "--senders", "2"]).stderr.contains("--senders 2: expected 3 at least")
    );
}

#[test]
fn what_is_lost_is_missing_from_reach() {
    let relay = Relay { rewrite: |n, payload, _| if n % 10 == 7 { Vec::new() } else { vec![payload] }, ..plain() };
    let flags = ["--rate", "100", "--drain-timeout", "300ms"];
    let report = measured(&relay.start(), &flags, &[1]);
    assert_valid(&report.0);
    let [expected, received, lost, ..] = deliveries(&report, "/deliveries");
    assert_eq!((expected, received, lost), (600.0, 540.0, 60.0));
    assert_eq!((report.number("/reach/share"), report.number("/reach/everyone_share")), (0.9, 0.9));
    assert_eq!(report.0["reach"]["p99"], serde_json::Value::Null);
    assert!(report.number("/reach/p50") > 0.0);
    for (limit, codes) in [
        ("deliveries.lost<=60", &[0, 98][..]),
        ("deliveries.lost==0", &[99]),
        ("reach.share>=90%", &[0, 98]),
        ("reach.everyone>90%", &[99]),
        // What never comes keeps no limit; that something is lost at all fails it before.
        ("reach.p99<1s", &[1]),
    ] {
        let report = measured(&relay.start(), &[&flags[..], &["--threshold", limit]].concat(), codes);
        let outcome = &report.0["thresholds"][0]["outcome"];
        assert_eq!(outcome == "met", codes.contains(&0), "{limit}: {outcome}");
    }
}

#[test]
fn what_comes_twice_is_counted_once() {
    let twice = Relay { rewrite: |_, payload, _| vec![payload.clone(), payload], ..plain() };
    let report = measured(&twice.start(), &["--rate", "50"], &[1]);
    assert_eq!(deliveries(&report, "/deliveries"), [300.0, 300.0, 0.0, 300.0, 0.0, 0.0, 0.0]);
    assert_eq!(report.number("/latency/count"), 300.0);
}

#[test]
fn what_overtakes_is_told_from_what_is_lost() {
    // Every fourth message comes after the one behind it.
    let swaps = Relay {
        rewrite: |n, payload, held| match n % 4 {
            2 => {
                held.push(payload);
                Vec::new()
            }
            3 => vec![payload, held.pop().unwrap()],
            _ => vec![payload],
        },
        ..plain()
    };
    // Two senders of 20 messages each, 4 of them in the warm-up.
    let report = measured(&swaps.start(), &["--rate", "40"], &[1]);
    assert_eq!(deliveries(&report, "/deliveries"), [240.0, 240.0, 0.0, 0.0, 60.0, 0.0, 0.0]);
}

#[test]
fn what_is_changed_is_told_unless_a_mark_says_that_it_is() {
    let rewrites = Relay { rewrite: |_, payload, _| vec![[b"12345678", &payload[..]].concat()], ..plain() };
    let url = rewrites.start();
    let report = measured(&url, &["--rate", "50"], &[1]);
    assert_eq!(report.number("/deliveries/received"), 0.0);
    assert!(report.0["trust"]["reasons"].to_string().contains("(--mark)"), "{}", report.0["trust"]);
    let marked = measured(&url, &["--rate", "50", "--mark", "seq@bytes:8"], &[0, 98]);
    assert_eq!(deliveries(&marked, "/deliveries")[..3], [300.0, 300.0, 0.0]);
    assert_eq!((&marked.0["asked"]["mark"], &marked.0["compared"]), (&"seq@bytes:8".into(), &false.into()));

    let altered = Relay {
        rewrite: |_, mut payload, _| {
            payload[20] ^= 1;
            vec![payload]
        },
        ..plain()
    };
    let report = measured(&altered.start(), &["--rate", "50"], &[1]);
    assert_eq!(deliveries(&report, "/deliveries"), [300.0, 300.0, 0.0, 0.0, 0.0, 300.0, 0.0]);
}

#[test]
fn a_number_is_found_in_rewritten_json() {
    let wraps = Relay {
        rewrite: |n, payload, _| {
            let sent: serde_json::Value = serde_json::from_slice(&payload).unwrap();
            let wrapped = serde_json::json!({"from": {"id": n}, "data": {"id": sent["data"]["id"]}, "pad": [1, "x"]});
            vec![wrapped.to_string().into_bytes()]
        },
        ..plain()
    };
    let report = measured(&wraps.start(), &["--rate", "50", "--mark", "seq@json:/data/id"], &[0, 98]);
    let found = deliveries(&report, "/deliveries");
    assert_eq!((&found[..5], found[6]), (&[300.0, 300.0, 0.0, 0.0, 0.0][..], 0.0));
}

#[test]
fn greetings_do_no_harm_and_other_messages_are_unexpected() {
    let greets = Relay { greeting: b"welcome, all of you", ..plain() };
    let report = measured(&greets.start(), &["--rate", "50"], &[0, 98]);
    assert_eq!(deliveries(&report, "/deliveries")[6], 0.0);
    let chats = Relay { rewrite: |_, payload, _| vec![payload, b"somebody said something".to_vec()], ..plain() };
    let report = measured(&chats.start(), &["--rate", "50"], &[1]);
    // One of each message that was sent after the warm-up; those of its 10 messages may be read late, by each of six receivers.
    let [_, received, .., unexpected] = deliveries(&report, "/deliveries");
    assert!(received == 300.0 && (290.0..=360.0).contains(&unexpected), "{unexpected}");
    let allowed = measured(&chats.start(), &["--rate", "50", "--threshold", "deliveries.unexpected<1k"], &[0, 98]);
    assert_eq!(allowed.0["thresholds"][0]["outcome"], "met");
}

#[test]
fn members_that_join_and_leave_get_all_while_they_are_there() {
    let report = measured(&plain().start(), &["--rate", "100", "--churn", "20"], &[0, 98]);
    assert_valid(&report.0);
    assert_eq!(report.number("/churn/asked_per_second"), 20.0);
    let joined = report.number("/churn/joined");
    assert!(joined >= 1.0 && joined + report.number("/churn/skipped") <= 21.0, "{joined}");
    assert_eq!((report.number("/churn/failed"), report.number("/churn/dropped")), (0.0, 0.0));
    assert_eq!(report.number("/churn/handshake/count"), joined);
    let [expected, received, lost, ..] = deliveries(&report, "/churn/deliveries");
    assert!(expected > 0.0 && received == expected && lost == 0.0, "{received} of {expected}");
    // As long without them before.
    assert_eq!(report.number("/undisturbed/seconds"), 1.0);
    assert_eq!(deliveries(&report, "/undisturbed/deliveries")[..3], [600.0, 600.0, 0.0]);
    assert_eq!(deliveries(&report, "/deliveries")[..3], [600.0, 600.0, 0.0]);
}

#[test]
fn receivers_that_do_not_read_are_told_apart() {
    let bounded = Relay { queue: 20, ..plain() };
    // 2 MB in a second are more than the kernel keeps for one that does not read.
    let flags = ["--rate", "100", "--size", "64KiB", "--drain-timeout", "1s", "--stall"];
    let report = measured(&bounded.start(), &[&flags[..], &["1"]].concat(), &[0, 98]);
    assert_valid(&report.0);
    assert_eq!(report.number("/stalled/receivers"), 1.0);
    let [expected, received, lost, ..] = deliveries(&report, "/stalled/deliveries");
    assert_eq!(expected, 100.0);
    assert!(received >= 1.0 && lost >= 1.0 && received + lost == expected, "{received} came, {lost} did not");
    // The other five have missed nothing, before and after.
    assert_eq!(deliveries(&report, "/deliveries")[..3], [500.0, 500.0, 0.0]);
    assert_eq!(deliveries(&report, "/undisturbed/deliveries")[..3], [500.0, 500.0, 0.0]);
    // They wait for nobody to read, and read all that is there afterwards.
    assert!(report.number("/stalled/latency/max") >= report.number("/latency/p50"));

    let closing = Relay { queue: 20, closes: true, ..plain() };
    let report = measured(&closing.start(), &[&flags[..], &["20%"]].concat(), &[0, 98]);
    assert_eq!(report.number("/stalled/dropped"), 1.0);
    assert_eq!(report.number("/receivers/dropped"), 0.0, "it was for it not to read");
    assert!(report.0["relay_losses"].is_null(), "another server is not asked");
}

#[test]
fn what_waits_for_receivers_that_do_not_read_comes_as_soon_as_they_read_again() {
    // Of a queue without an end nothing is lost. What the kernel had to send again after 4 s would come 2 s later.
    let flags = ["--rate", "100", "--size", "2KiB", "--drain-timeout", "1500ms", "--stall", "2"];
    let report = measured_for("4s", &plain().start(), &flags, &[0, 98]);
    assert_eq!(deliveries(&report, "/stalled/deliveries")[..3], [800.0, 800.0, 0.0]);
    assert_eq!(deliveries(&report, "/undisturbed/deliveries")[..3], [1600.0, 1600.0, 0.0]);
}

#[test]
fn a_server_that_echoes_is_no_relay() {
    let echoes = Relay { to: To::Sender, ..plain() };
    let flags = ["--rate", "50", "--drain-timeout", "300ms"];
    let report = measured(&echoes.start(), &flags, &[1]);
    assert_valid(&report.0);
    assert_eq!(deliveries(&report, "/deliveries")[..3], [300.0, 0.0, 300.0]);
    let reasons = report.0["trust"]["reasons"].to_string();
    assert!(reasons.contains("came back to their own senders: the server echoes and does not relay"), "{reasons}");
    // The embedded server's own echo does the same.
    let server = EmbeddedServer::start(&[]);
    let report = measured(&server.url, &flags, &[1]);
    assert_eq!((report.number("/messages/returned"), report.number("/reach/share")), (60.0, 0.0));
    assert!(report.number("/server/cpu_seconds") > 0.0);
}

#[test]
fn a_server_that_refuses_or_never_answers_ends_it_with_the_cause() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let flags = [url.as_str(), "--connect-timeout", "300ms"];
    let silent = finished(&flags);
    assert_eq!(silent.code, Some(1), "{}", silent.stderr);
    assert!(silent.stderr.contains("sent nothing within 300ms"), "{}", silent.stderr);
    drop(listener);
    let refused = finished(&flags);
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("none of 10 connections") && refused.stderr.contains("refused"),
        "{}",
        refused.stderr
    );
    // Where only some are taken, the rest carry on.
    let few = EmbeddedServer::start(&["--max-connections", "5"]);
    let report = measured(&few.url, &["--rate", "50", "--drain-timeout", "100ms"], &[1]);
    assert_eq!((report.number("/receivers/established"), report.number("/receivers/failed")), (3.0, 3.0));
    assert!(report.0["failures"].to_string().contains("503"), "{}", report.0["failures"]);
}

#[test]
fn a_server_that_never_answers_is_waited_for_once() {
    for threads in ["1", "3"] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("ws://{}/", listener.local_addr().unwrap());
        let flags = ["--connect-timeout", "300ms", "--senders", "2", "--receivers", "9", "--threads", threads];
        let silent = finished(&[&[url.as_str()][..], &flags].concat());
        assert_eq!(silent.code, Some(1), "{}", silent.stderr);
        assert!(silent.stderr.contains("none of 2 connections"), "{}", silent.stderr);
        listener.set_nonblocking(true).unwrap();
        let handshakes = listener.incoming().take_while(Result::is_ok).count();
        assert_eq!(handshakes, 2, "those of the senders, with {threads} threads");
    }
}

#[test]
fn deliveries_are_waited_for_as_long_as_the_drain_timeout_says() {
    // Each sender has 5 messages in the warm-up and 25 after it; the last one is long on its way.
    let slow = Relay {
        rewrite: |n, payload, _| {
            if n == 29 {
                std::thread::sleep(std::time::Duration::from_secs(3));
            }
            vec![payload]
        },
        ..plain()
    };
    let report = measured(&slow.start(), &["--rate", "50", "--drain-timeout", "1500ms"], &[1]);
    assert_eq!(deliveries(&report, "/deliveries")[..3], [300.0, 288.0, 12.0]);
    let report = measured(&slow.start(), &["--rate", "50", "--drain-timeout", "30s"], &[0, 98]);
    assert_eq!(deliveries(&report, "/deliveries")[..3], [300.0, 300.0, 0.0]);
    assert!(report.number("/latency/max") > 2.9e9);
}

#[test]
fn a_server_that_dies_ends_it_with_what_was_found() {
    let server = EmbeddedServer::start(&[]);
    let before = server.sockets();
    let flags = ["fanout", &server.url, "--senders", "2", "--receivers", "8", "-d", "600s", "--format", "json", "-q"];
    let run = loadgen(&flags);
    server.wait_for_sockets(before, 10);
    std::thread::sleep(std::time::Duration::from_millis(300));
    server.signal(Signal::KILL);
    let report = run.json(&[1]);
    assert_valid(&report.0);
    // It ends as soon as no sender or no receiver is left, whichever is seen first.
    let all_dropped =
        |of: &str| report.number(&format!("/{of}/established")) == report.number(&format!("/{of}/dropped"));
    assert!(all_dropped("senders") || all_dropped("receivers"), "{}", report.0);
    assert!(!report.0["failures"].as_object().unwrap().is_empty());
    // What was due from then on was sent by nobody.
    assert_eq!(report.number("/messages/due"), 60_000.0);
}

#[test]
fn an_interruption_keeps_what_was_found() {
    let url = plain().start();
    let saved = file("interrupted.json");
    let flags = ["fanout", &url, "--senders", "2", "--receivers", "6", "-d", "600s", "--warmup", "0s", "-q", "-o"];
    let run = loadgen(&[&flags[..], &[saved.to_str().unwrap()]].concat());
    // Long enough for something to have come.
    std::thread::sleep(std::time::Duration::from_secs(2));
    run.signal(Signal::INT);
    let text = run.wait();
    assert_eq!(text.code, Some(130), "{}", text.stderr);
    wait_until("the report is there", || saved.metadata().is_ok_and(|file| file.len() > 0));
    let report = Json(serde_json::from_slice(&fs::read(&saved).unwrap()).unwrap());
    assert_valid(&report.0);
    assert_eq!(report.0["interrupted"], true);
    let [expected, received, lost, ..] = deliveries(&report, "/deliveries");
    assert!(received > 0.0 && received == expected && lost == 0.0, "{received} of {expected}");
    fs::remove_file(&saved).unwrap();
}
