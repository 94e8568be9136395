//! The command line of a fan-out: limits, refusals, formats, and flags that it shares with a run.

use std::ffi::OsString;
use std::fs;
use std::num::NonZeroUsize;

use loadgen::plan::{Pacing, Plan, Timestamps};
use loadgen::program::cli::{Fanning, Invocation, parse};

use super::benchfmt::benchmarks;
use super::binary::{Json, assert_formats, converted};
use super::relay::plain;
use super::{deliveries, file, finished, measured};

#[test]
fn limits_are_kept_crossed_or_not_known() {
    let url = plain().start();
    let with = |threshold: &str, codes: &[i32]| measured(&url, &["--rate", "50", "--threshold", threshold], codes);
    assert_eq!(with("deliveries.lost==0", &[0, 98]).0["thresholds"][0]["outcome"], "met");
    assert_eq!(with("reach.p99<100s", &[0, 98]).0["thresholds"][0]["outcome"], "met");
    assert_ne!(with("latency.p99<1ns", &[99, 98]).0["thresholds"][0]["outcome"], "met");
    // A p99.9 needs 1,000 values.
    assert_eq!(with("skew.p99.9<1s", &[98]).0["thresholds"][0]["outcome"], "unknown");
    for (flags, expected) in [
        (&["--threshold", "stalled.lost==0"][..], "needs --stall"),
        (&["--threshold", "churn.lost==0"], "needs --churn"),
        (&["--threshold", "undisturbed.p99<5ms"], "needs --churn or --stall"),
        (&["--threshold", "throughput>5"], "is no metric"),
        (&["--mark", "id"], "seq@json:/id"),
        (&["--stall", "0%"], "expected more than 0%"),
        (&["--stall", "1000"], "fewer than all --receivers"),
        (&["--size", "15"], "expected 16 B at least"),
        (&["--size", "64..128"], "expected one size"),
        (&["--rate", "10", "-d", "1s", "--burst", "11"], "--burst 11: at --rate 10 one is due less often"),
        (
            &["--rate", "0.05", "-d", "2s", "--warmup", "1s"],
            "--rate 0.05: a message is due every 20.0 s, the first as the load begins, and none within the 2.00 s that are measured \
             from 1.00 s on; expected a higher --rate or a longer --duration",
        ),
        // What is undisturbed before is no part of it.
        (&["--rate", "0.5", "-d", "500ms", "--warmup", "1s", "--churn", "1"], "measured from 1.50 s on"),
        (&["--rooms", "20"], "--senders 10: expected 20 at least"),
        (&["--senders", "100k", "--receivers", "100k"], "pairs whose order is followed"),
        (&["--permessage-deflate"], "does not read compressed messages"),
    ] {
        let refused = finished(&[&[url.as_str()], flags].concat());
        assert_eq!(refused.code, Some(2), "{flags:?}: {}", refused.stderr);
        assert!(refused.stderr.contains(expected), "{flags:?}: {}", refused.stderr);
    }
}

#[test]
fn one_message_that_is_due_while_it_is_measured_is_enough() {
    let parsed = |flags: &[&str]| {
        let arguments = ["loadgen", "fanout", "ws://127.0.0.1:1/"].iter().chain(flags).map(OsString::from);
        parse(arguments, NonZeroUsize::new(3).unwrap()).is_ok()
    };
    for (flags, is_due) in [
        (&["--rate", "0.05", "-d", "2s", "--warmup", "0s"][..], true),
        (&["--rate", "0.05", "-d", "2s", "--warmup", "1ns"], false),
        (&["--rate", "0.05", "-d", "2s", "--warmup", "20s"], true),
        (&["--rate", "0.05", "-d", "2s", "--warmup", "18s"], false),
        (&["--rate", "0.05", "-d", "2001ms", "--warmup", "18s"], true),
        (&["--rate", "0.05", "-d", "10s", "--warmup", "5s", "--stall", "1"], true),
        (&["--rate", "0.05", "-d", "10s", "--warmup", "5s"], false),
        // Every third of a second, rounded down to whole ns.
        (&["--rate", "3", "-d", "1ms", "--warmup", "333333333ns"], true),
        (&["--rate", "3", "-d", "1ms", "--warmup", "333333334ns"], false),
    ] {
        assert_eq!(parsed(flags), is_due, "{flags:?}");
    }
}

#[test]
fn nothing_is_offered_that_is_refused() {
    let help = finished(&["--help"]).stdout;
    assert!(help.contains("wss://HOST:PORT/PATH for TLS"), "{help}");
    for refused in ["tcp://", "permessage-deflate"] {
        assert!(!help.contains(refused), "{refused}: {help}");
    }
}

#[test]
fn a_saved_report_is_read_back_in_every_format_but_one() {
    let saved = file("saved.json");
    let path = saved.to_str().unwrap();
    let url = plain().start();
    let flags =
        [&url, "--senders", "2", "--receivers", "6", "-d", "500ms", "--warmup", "0s", "--churn", "5", "--stall", "20%"];
    let text = finished(&[&flags[..], &["--threshold", "deliveries.lost==0", "--output", path]].concat());
    assert!(matches!(text.code, Some(0 | 98)), "{}{}", text.stdout, text.stderr);
    assert!(text.stdout.starts_with("fanout: 2 senders to 6 receivers, 100 messages a second"), "{}", text.stdout);
    assert!(text.stdout.lines().all(|line| line.chars().count() <= 80 || line.contains("ws://")), "{}", text.stdout);
    assert_eq!(converted(path, "text").stdout.trim_end(), text.stdout.trim_end());
    let formats = [
        ("json", "fathom/fanout/v1"),
        ("markdown", "### Fan-out: "),
        ("html", "<h1>Fan-out</h1>"),
        ("csv", "deliveries.lost,count,0,,"),
        ("junit", "every delivery came once, whole and in order"),
        ("benchfmt", "BenchmarkFanout/senders=2/receivers=6/rooms=1\t250\t"),
        ("bmf", "\"reach-p99\""),
        ("openmetrics", "fathom_fanout_figure{metric=\"deliveries.received\",unit=\"count\"} 250"),
    ];
    assert_formats(path, &formats, ("smaller-is-better.json", "fanout: latency.max"));
    let lines = benchmarks(&converted(path, "benchfmt").stdout);
    assert_eq!((lines.results.len(), lines.configuration.is_empty(), lines.units.is_empty()), (1, false, false));
    fs::remove_file(&saved).unwrap();
}

#[test]
fn members_connect_as_a_run_s_connections_do() {
    let invoke = |arguments: &[&str]| {
        parse(["loadgen"].iter().chain(arguments).map(OsString::from), NonZeroUsize::new(3).unwrap()).unwrap()
    };
    let run = |flags: &[&str]| match invoke(&[&["run", "wss://h/"], flags].concat()) {
        Invocation::Run { plan, .. } => plan,
        other => panic!("{flags:?} gave {other:?}"),
    };
    let fanout = |flags: &[&str]| -> Plan {
        match invoke(&[&["fanout", "wss://127.0.0.1:1/"], flags].concat()) {
            Invocation::Fanout(fanning) => {
                let Fanning { experiment, .. } = *fanning;
                experiment.plan
            }
            other => panic!("{flags:?} gave {other:?}"),
        }
    };
    let plain = run(&[]).connect;
    let flags: [&[&str]; 13] = [
        &["--connect-rate", "9"],
        &["--connect-timeout", "3s"],
        &["-H", "X-A: b"],
        &["--subprotocol", "chat"],
        &["--tcp-nodelay", "off"],
        &["--source-ip", "127.0.0.2"],
        &["--cacert", "x"],
        &["--insecure"],
        &["--tls-server-name", "x"],
        &["--tls-resume", "on"],
        &["--client-cert", "x", "--client-key", "y"],
        &["--tls-versions", "1.3"],
        &["--proxy", "http://127.0.0.1:1"],
    ];
    for flags in flags {
        assert_ne!(run(flags).connect, plain, "{flags:?} is not ignored");
        assert_eq!(fanout(flags).connect, run(flags).connect, "{flags:?}");
    }
    assert_eq!((fanout(&[]).pacing, fanout(&["--pacing", "spin"]).pacing), (Pacing::Auto, Pacing::Spin));
    let (auto, off) = (fanout(&[]).timestamps, fanout(&["--timestamps", "off"]).timestamps);
    assert_eq!((auto, off), (Timestamps::Auto, Timestamps::Off));
    assert_eq!((fanout(&["--seed", "7"]).seed, fanout(&["--threads", "2"]).threads.get()), (7, 2));
}

#[test]
fn one_of_something_is_said_of_one_and_sizes_are_as_they_were_asked_for() {
    let url = plain().start();
    let load = [&url, "--senders", "1", "--receivers", "1", "--rate", "20", "-d", "500ms", "--warmup", "0s"];
    let text = finished(&[&load[..], &["--size", "64KiB"]].concat()).stdout;
    assert!(text.starts_with("fanout: 1 sender to 1 receiver, 20.0 messages a second"), "{text}");
    assert!(text.contains("1 of 1 sender and 1 of 1 receiver"), "{text}");
    assert!(text.contains("binary, 64 KiB of random payload"), "{text}");
}

#[test]
fn a_server_is_started_and_an_embedded_one_is_told_to_relay() {
    let ended = finished(&["--server", "sh -c 'exit 3' {port}"]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("exit status: 3"), "{}", ended.stderr);
    let embedded = finished(&["--server", "--no-delay-at-all", "--receivers", "6"]);
    assert_eq!(embedded.code, Some(2), "{}", embedded.stderr);
    let flags = ["--senders", "2", "--receivers", "6", "-d", "500ms", "--warmup", "0s", "--format", "json"];
    // Also where flags are given that are for a relay alone.
    for server in ["", "--relay-queue 64KiB"] {
        let told = finished(&[&flags[..], &["--server", server]].concat());
        assert!(matches!(told.code, Some(0 | 98)), "{:?}: {}", told.code, told.stderr);
        let report = Json(serde_json::from_str(&told.stdout).unwrap());
        let target = report.0["target"].as_str().unwrap();
        assert!(target.contains("--relay others") && target.contains(server), "{target}");
        assert_eq!(deliveries(&report, "/deliveries")[..3], [300.0, 300.0, 0.0]);
    }
}
