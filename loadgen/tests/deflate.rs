//! permessage-deflate from the command line to the report: against the embedded server, and against servers that answer
//! the handshake in their own ways.

mod binary;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use binary::{EmbeddedServer, Finished, Json, loadgen};
use sha1::{Digest, Sha1};

fn run(arguments: &[&str]) -> Finished {
    let fixed = ["run", "--connections", "3", "--messages", "600", "--warmup", "0s", "--drain-timeout", "5s"];
    loadgen(&[&fixed[..], &["--format", "json", "--threads", "1"], arguments].concat()).wait()
}

/// The report of a run that measured; whether the machine was quiet enough is not the question here.
fn report(arguments: &[&str]) -> Json {
    let finished = run(arguments);
    assert!(matches!(finished.code, Some(0 | 98)), "{arguments:?}: {:?} {}", finished.code, finished.stderr);
    let report = Json(serde_json::from_str(&finished.stdout).expect("a report"));
    assert_eq!(report.number("/messages/verified"), 600.0, "{arguments:?}");
    report
}

fn verification(report: &Json) -> [f64; 5] {
    ["compared", "inflated", "identical", "length", "frame"].map(|how| report.number(&format!("/verification/{how}")))
}

#[test]
fn every_takeover_and_kind_of_message_is_verified_and_counted() {
    for takeover in ["off", "server", "client", "both"] {
        let server = EmbeddedServer::start(&["--permessage-deflate", "on", "--deflate-context-takeover", takeover]);
        for message in [&["--payload", "json", "--text", "--size", "100..3000"][..], &["--size", "0..300"]] {
            let flags =
                [&server.url, "--permessage-deflate", "--deflate-context-takeover", takeover, "--in-flight", "3"];
            let report = report(&[&flags, message].concat());
            assert_eq!(report.number("/permessage_deflate/connections"), 3.0);
            let agreed = &report.0["permessage_deflate"]["agreed"];
            let taken = |side: &str| agreed[0][side]["context_takeover"].as_bool().unwrap();
            assert_eq!(taken("server"), ["server", "both"].contains(&takeover));
            assert_eq!(taken("client"), ["client", "both"].contains(&takeover));
            let [compared, inflated, identical, length, frame] = verification(&report);
            assert_eq!(compared + inflated + identical, 600.0);
            assert_eq!((length, frame), (0.0, 0.0));
            if taken("server") {
                assert_eq!(identical, 0.0, "replies that refer to others are never identical by their bytes");
            } else {
                // What one connection has got, the others get too. How much of it depends on how far they are apart.
                assert!(identical > 0.0 && inflated > 0.0, "{identical} identical, {inflated} inflated");
            }
            let ratios = ["sent", "received"].map(|way| report.number(&format!("/wire/{way}/ratio")));
            if message.contains(&"json") {
                assert!(ratios.iter().all(|ratio| (0.01..0.6).contains(ratio)), "{takeover}: {ratios:?}");
            } else {
                assert!(ratios[0] > 1.0, "what cannot be compressed grows: {ratios:?}");
            }
            let [payload, frames] =
                ["payload", "frame"].map(|what| report.number(&format!("/wire/received/{what}_bytes")));
            assert!(frames > payload && payload > 0.0);
        }
    }
}

#[test]
fn without_compression_the_wire_carries_what_is_sent() {
    let report = report(&["--size", "200"]);
    assert!(report.0["permessage_deflate"].is_null());
    for way in ["sent", "received"] {
        assert_eq!(report.number(&format!("/wire/{way}/message_bytes")), 120_000.0);
        assert_eq!(report.number(&format!("/wire/{way}/payload_bytes")), 120_000.0);
    }
    assert_eq!(report.number("/wire/sent/frame_bytes"), 600.0 * 208.0);
    assert_eq!(report.number("/wire/received/frame_bytes"), 600.0 * 204.0);
    assert_eq!(verification(&report), [600.0, 0.0, 0.0, 0.0, 0.0]);
}

#[test]
fn the_report_says_how_much_was_verified() {
    let ways = |verify: &str, flags: &[&str]| verification(&report(&[&["--verify", verify], flags].concat()));
    assert_eq!(ways("length", &[]), [0.0, 0.0, 0.0, 600.0, 0.0]);
    let [compared, .., length, _] = ways("sample", &[]);
    assert!(compared > 0.0 && length > 0.0 && compared + length == 600.0);
    let json = ["--permessage-deflate", "--payload", "json", "--size", "300"];
    assert_eq!(ways("length", &json), [0.0, 0.0, 0.0, 600.0, 0.0]);
    let takeover = [&json[..], &["--deflate-context-takeover", "server"]].concat();
    assert_eq!(ways("length", &takeover), [0.0, 0.0, 0.0, 0.0, 600.0]);
    let [_, inflated, _, _, frame] = ways("sample", &takeover);
    assert!(inflated > 0.0 && frame > 0.0 && inflated + frame == 600.0);
    assert_eq!(ways("full", &takeover), [0.0, 600.0, 0.0, 0.0, 0.0]);
}

#[test]
fn a_server_that_declines_fails_the_run_unless_compression_is_only_preferred() {
    let server = EmbeddedServer::start(&[]);
    let finished = run(&[&server.url, "--permessage-deflate"]);
    assert_eq!(finished.code, Some(1));
    assert!(finished.stderr.contains("declined permessage-deflate"), "{}", finished.stderr);
    let report = report(&[&server.url, "--permessage-deflate=prefer", "--payload", "json"]);
    assert_eq!(report.number("/permessage_deflate/declined"), 3.0);
    assert_eq!(report.number("/permessage_deflate/connections"), 0.0);
    assert_eq!(report.number("/wire/received/ratio"), 1.0);
    assert!(report.0["trust"]["notes"].to_string().contains("declined"), "{}", report.0["trust"]);
}

/// Starts a server that answers every handshake with these extensions; returns its URL. It ends with the test.
fn answering(extensions: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
                request.push(byte[0]);
            }
            let request = String::from_utf8(request).unwrap();
            let key = request
                .lines()
                .find_map(|line| line.to_lowercase().starts_with("sec-websocket-key:").then(|| line[18..].trim()));
            let accept =
                BASE64.encode(Sha1::digest(format!("{}258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key.unwrap_or(""))));
            let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
            // The generator is free to hang up.
            let _ = write!(
                stream,
                "{head}Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Extensions: {extensions}\r\n\r\n"
            );
        }
    });
    url
}

#[test]
fn answers_that_do_not_fit_the_offer_are_named() {
    let offer = &["--permessage-deflate", "--deflate-window-bits", "12"][..];
    for (extensions, flags, expected) in [
        ("permessage-deflate", &[][..], "not offered"),
        ("x-webkit-deflate-frame", offer, "x-webkit-deflate-frame"),
        ("permessage-deflate; server_max_window_bits=12", offer, "server_no_context_takeover"),
        ("permessage-deflate; server_no_context_takeover", offer, "server_max_window_bits"),
        ("permessage-deflate; server_no_context_takeover; server_max_window_bits=15", offer, "server_max_window_bits"),
        ("permessage-deflate; server_no_context_takeover; server_max_window_bits=99", offer, "server_max_window_bits"),
        ("permessage-deflate; server_no_context_takeover; mystery=1", offer, "'mystery'"),
        ("permessage-deflate; =", offer, "malformed"),
    ] {
        // Not even where compression is only preferred: a server that does not keep to the RFC cannot be spoken with.
        let prefer: Vec<&str> = flags
            .iter()
            .map(|flag| if *flag == "--permessage-deflate" { "--permessage-deflate=prefer" } else { flag })
            .collect();
        for flags in [flags, &prefer] {
            let finished = run(&[&[answering(extensions).as_str()], flags].concat());
            assert_eq!(finished.code, Some(1), "{extensions}");
            assert!(finished.stderr.contains(expected), "{extensions}: {}", finished.stderr);
        }
    }
}

#[test]
fn a_comparison_takes_the_same_flags() {
    let compare = ["compare", "--aa", "--max-time", "2s", "-c", "4", "--format", "json", "--permessage-deflate"];
    // Long enough for a reply on a busy machine.
    let report =
        loadgen(&[&compare[..], &["--trial", "100ms", "--payload", "json", "--size", "500"]].concat()).json(&[0, 98]);
    assert_eq!(report.0["environment"]["plan"]["connect"]["permessage_deflate"]["level"], 3);
    assert!(report.number("/a/messages/verified") > 0.0);
    assert_eq!(report.number("/a/messages/corrupted"), 0.0);
}

#[test]
fn a_sweep_varies_compression() {
    let sweep = [
        "sweep",
        "--force",
        "--max-time",
        "2s",
        "--restart-every",
        "1",
        "-c",
        "4",
        "--format",
        "json",
        "--payload",
        "json",
        "--trial",
        "100ms",
    ];
    let vary = ["--vary-load", "permessage-deflate=off,on", "--size", "500"];
    let report = loadgen(&[&sweep[..], &vary].concat()).json(&[0, 98]);
    for (arm, target) in [(0, "embedded server"), (1, "embedded server --permessage-deflate on")] {
        // The server of each combination grants what its load asks for, or the connections would have failed.
        let named = report.0["arms"][arm]["target"].as_str().unwrap();
        assert_eq!(named.contains("--permessage-deflate"), arm == 1, "{named}, expected {target}");
        assert!(report.number(&format!("/arms/{arm}/messages/verified")) > 0.0);
    }
}
