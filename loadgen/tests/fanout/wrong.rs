//! What a fan-out tells of deliveries that are not as they should be: the first of each kind, beside what was sent, and what can
//! be done about it.

use std::fs;

use serde_json::Value;
use wire::OpCode;

use super::binary::{Json, converted};
use super::relay::{Relay, plain};
use super::{assert_valid, deliveries, file, measured};

/// A report in a format for people, as one line.
fn shown(path: &str, format: &str) -> String {
    let made = converted(path, format);
    assert_eq!(made.code, Some(0), "{format}: {}", made.stderr);
    made.stdout.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn save(report: &Value, name: &str) -> String {
    let saved = file(name).to_str().unwrap().to_owned();
    fs::write(&saved, report.to_string()).unwrap();
    saved
}

/// The only kind of wrong deliveries in a report, and how many there were.
#[track_caller]
fn only_kind(report: &Json) -> (&str, u64) {
    let kinds = report.0["mismatches"].as_array().unwrap();
    assert_eq!(kinds.len(), 1, "{kinds:?}");
    (kinds[0]["kind"].as_str().unwrap(), kinds[0]["times"].as_u64().unwrap())
}

#[test]
fn the_first_altered_delivery_is_shown_beside_what_was_sent_in_every_format() {
    let alters = Relay {
        rewrite: |n, mut payload, _| {
            if n % 2 == 1 {
                payload[20..24].copy_from_slice(b"\0\0\0\0");
            }
            vec![payload]
        },
        ..plain()
    };
    let report = measured(&alters.start(), &["--rate", "40", "--text"], &[1]);
    assert_valid(&report.0);
    let altered = report.number("/deliveries/altered");
    assert_eq!((altered, only_kind(&report)), (120.0, ("content", 120)));
    let example = &report.0["mismatches"][0];
    assert_eq!((&example["offset"], &example["got"]["bytes"]), (&20.into(), &64.into()));
    let excerpt = |of: &str| example[of]["excerpt"].as_str().unwrap().to_owned();
    assert!(excerpt("got").starts_with("\\x00\\x00\\x00\\x00"), "{example}");
    assert!(!excerpt("expected").starts_with("\\x00"), "{example}");
    let saved = save(&report.0, "altered.json");
    for format in ["text", "markdown", "html", "junit"] {
        let shown = shown(&saved, format);
        assert!(shown.contains("120 times: 64 bytes, of which the first 20 are as sent, then"), "{format}: {shown}");
    }
    fs::remove_file(&saved).unwrap();
}

#[test]
fn what_comes_back_in_the_other_type_is_told_with_the_flag_that_mends_it() {
    // What `send(data.toString())` does in Node.
    let as_text = Relay {
        rewrite: |_, payload, _| vec![String::from_utf8_lossy(&payload).into_owned().into_bytes()],
        retyped: Some(OpCode::Text),
        ..plain()
    };
    let url = as_text.start();
    let report = measured(&url, &["--rate", "50"], &[1]);
    assert_eq!((report.number("/deliveries/altered"), only_kind(&report)), (300.0, ("type", 300)));
    let saved = save(&report.0, "type.json");
    let shown = shown(&saved, "text");
    assert!(
        shown.contains("300 times: text instead of binary") && shown.contains("; send text with --text"),
        "{shown}"
    );
    fs::remove_file(&saved).unwrap();
    let text = measured(&url, &["--rate", "50", "--text"], &[0, 98]);
    assert_eq!(text.0["mismatches"], serde_json::json!([]));
    assert_eq!(deliveries(&text, "/deliveries")[..6], [300.0, 300.0, 0.0, 0.0, 0.0, 0.0]);
}

#[test]
fn text_within_a_string_of_json_is_found_by_its_mark_and_told_without() {
    let wraps = Relay {
        rewrite: |n, payload, _| {
            let text = format!("{} says \"{}\"", "somebody".repeat(n % 3), String::from_utf8(payload).unwrap());
            vec![serde_json::json!({"from": {"id": n}, "data": {"text": text}}).to_string().into_bytes()]
        },
        ..plain()
    };
    let url = wraps.start();
    let report = measured(&url, &["--rate", "50", "--text", "--drain-timeout", "300ms"], &[1]);
    assert_valid(&report.0);
    assert_eq!(report.number("/deliveries/received"), 0.0);
    assert_eq!(only_kind(&report), ("unnumbered", report.number("/deliveries/unexpected") as u64));
    let example = &report.0["mismatches"][0];
    let excerpt = |of: &str| example[of]["excerpt"].as_str().unwrap().to_owned();
    assert!(excerpt("got").starts_with(r#"{\"data\":{\"text\":\""#), "{example}");
    assert!(excerpt("expected").chars().take(16).all(|digit| digit.is_ascii_digit()), "{example}");
    let saved = save(&report.0, "unnumbered.json");
    assert!(shown(&saved, "text").contains("--mark says where it puts the number: seq@json-string:/POINTER"));
    fs::remove_file(&saved).unwrap();
    let marked = measured(&url, &["--rate", "50", "--mark", "seq@json-string:/data/text"], &[0, 98]);
    assert_valid(&marked.0);
    assert_eq!(deliveries(&marked, "/deliveries")[..3], [300.0, 300.0, 0.0]);
    assert_eq!(marked.0["environment"]["plan"]["message"]["kind"], "text");
}

#[test]
fn what_was_not_compared_is_not_called_unaltered() {
    let flags = ["--rate", "50", "--churn", "5", "--stall", "1", "--drain-timeout", "1s"];
    let report = measured(&plain().start(), &flags, &[0, 98]);
    let parts = ["deliveries", "undisturbed/deliveries", "stalled/deliveries", "churn/deliveries"];
    let altered = |report: &Json| parts.map(|part| report.0.pointer(&format!("/{part}/altered")).cloned());
    assert_eq!(altered(&report), [(); 4].map(|()| Some(Value::from(0))));
    let marked = measured(&plain().start(), &[&flags[..], &["--mark", "seq@bytes:0"]].concat(), &[0, 98]);
    assert_valid(&marked.0);
    assert_eq!(altered(&marked), [(); 4].map(|()| Some(Value::Null)));
    let saved = save(&marked.0, "marked.json");
    for format in ["text", "markdown", "html"] {
        let shown = shown(&saved, format);
        assert!(!shown.contains("altered"), "{format}: {shown}");
        assert_eq!(shown.matches("out of order, content not compared, 0 unexpected").count(), 2, "{format}: {shown}");
    }
    assert!(shown(&saved, "junit").contains("every delivery came once and in order"));
    fs::remove_file(&saved).unwrap();
}

#[test]
fn a_report_of_before_examples_were_kept_is_read_back() {
    let mut report = measured(&plain().start(), &["--rate", "50", "--mark", "seq@bytes:0"], &[0, 98]);
    report.0.as_object_mut().unwrap().remove("mismatches").expect("it is written");
    report.0["deliveries"]["altered"] = 0.into();
    let saved = save(&report.0, "earlier.json");
    assert!(shown(&saved, "text").contains("300 of 300; 0 lost, 0 duplicated, 0 out of order, content not compared"));
    fs::remove_file(&saved).unwrap();
}
