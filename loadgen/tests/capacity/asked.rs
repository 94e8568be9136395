//! What the flags say, and what is refused.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::time::Duration;

use loadgen::plan::Arrival;
use loadgen::program::cli::{Invocation, Planning, parse};
use loadgen::trials::warming::Warmup;

use crate::finished;

#[test]
fn the_plan_is_said_and_nothing_is_started() {
    let planned = finished(&["--slo", "latency.p99<5ms", "--plan-only", "--server", "sh -c 'exit 3' {port}"]);
    assert_eq!(planned.code, Some(0), "{}", planned.stderr);
    assert!(planned.stdout.contains("300 s at most"), "{}", planned.stdout);
    // 200 messages in the longest probe, 10 s.
    assert!(planned.stdout.contains("from 20.0/s"), "{}", planned.stdout);
}

#[test]
fn threads_are_those_of_the_server() {
    let points = |flags: &[&str]| {
        let flags = [&["loadgen", "capacity", "--slo", "latency.p99<5ms", "--over", "threads=1,2"], flags].concat();
        parse(flags.iter().map(OsString::from), NonZeroUsize::MIN).map(|invocation| match invocation {
            Invocation::Capacity(planning) => {
                planning.over.unwrap().points.into_iter().map(|(_, _, server)| server.to_string()).collect::<Vec<_>>()
            }
            other => panic!("{other:?}"),
        })
    };
    assert_eq!(points(&[]).unwrap(), ["embedded server --threads 1", "embedded server --threads 2"]);
    assert_eq!(points(&["--server", "x {threads} {port}"]).unwrap(), ["x 1 {port}", "x 2 {port}"]);
    for flags in [&["--server", "x {port}"][..], &["--server", "--threads 3"], &["ws://127.0.0.1:1/"]] {
        assert!(points(flags).is_err(), "{flags:?}");
    }
}

#[test]
fn what_cannot_be_looked_for_is_refused() {
    for (flags, expected) in [
        (&[][..], "--slo"),
        (&["--slo", "connect.p99<5ms"], "not the server's to keep"),
        (&["--slo", "loadgen.cpu<5us"], "not the server's to keep"),
        (&["--slo", "latency.p99<5"], "a time with its unit"),
        (&["--slo", "latency.p99<5ms", "--precision", "0%"], "from 0.1% to 50%"),
        (&["--slo", "latency.p99<5ms", "--confidence", "99.95%"], "from 51% to 99.9%"),
        (&["--slo", "latency.p99<5ms", "--confidence", "50%"], "from 51% to 99.9%"),
        (&["--slo", "latency.p99<5ms", "--min-rate", "5"], "expected 20/s at least"),
        (&["--slo", "latency.p99<5ms", "--plan-only", "--probe", "1h"], "longer than --max-time"),
        (&["--slo", "latency.p99<5ms", "--max-time", "10s", "--warmup", "10m"], "expected 10m 2s at least"),
        (&["--slo", "latency.p99<5ms", "--max-time", "10s", "--warmup", "10m", "--plan-only"], "has no room for"),
        (&["--a", "", "--b", "", "--slo", "latency.p99<5ms", "--max-time", "10s", "--warmup", "6s"], "of 2 servers"),
        (&["--slo", "latency.p99<5ms", "--max-rate", "10"], "not above the lowest rate"),
        (&["tcp://127.0.0.1:1", "--slo", "latency.p99<5ms", "--subprotocol", "chat"], "--subprotocol"),
        (&["--slo", "latency.p99<5ms", "--over", "rate=5"], "expected connections, size or threads"),
        (&["--slo", "latency.p99<5ms", "--over", "in-flight=1,2"], "loadgen sweep --vary-load in-flight=1,2,4,8"),
        (&["--slo", "latency.p99<5ms", "--over", "connections=5,5"], "is one of those before it"),
        (&["--slo", "latency.p99<5ms", "--over", "size=64..100,80..100"], "goes by the name 100"),
        (&["--slo", "latency.p99<5ms", "--threshold", "latency.p99<5ms"], "no metric of a capacity"),
    ] {
        let refused = finished(flags);
        assert_eq!(refused.code, Some(2), "{flags:?}");
        assert!(refused.stderr.contains(expected), "{flags:?}: {}", refused.stderr);
    }
}

#[test]
fn its_load_is_that_of_a_run() {
    let invoke = |arguments: &[&str]| {
        parse(["loadgen"].iter().chain(arguments).map(OsString::from), NonZeroUsize::new(3).unwrap()).unwrap()
    };
    let url = |flags: &[&str]| {
        let of_udp = flags.iter().any(|flag| flag.starts_with("--udp-"));
        if of_udp { "udp://127.0.0.1:1" } else { "wss://h/" }
    };
    let run = |flags: &[&str]| match invoke(
        &[&["run", url(flags), "--drain-timeout", "5s", "--warmup", "0s", "-d", "1s"], flags].concat(),
    ) {
        Invocation::Run { plan, .. } => plan,
        other => panic!("{flags:?} gave {other:?}"),
    };
    let planned =
        |flags: &[&str]| match invoke(&[&["capacity", url(flags), "--slo", "latency.p99<5ms"], flags].concat()) {
            Invocation::Capacity(planning) => {
                let Planning { plan, .. } = *planning;
                plan
            }
            other => panic!("{flags:?} gave {other:?}"),
        };
    let plain = run(&[]);
    assert_eq!(planned(&[]), plain);
    let flags: [&[&str]; 31] = [
        &["-c", "7"],
        &["--connect-rate", "9"],
        &["--connect-timeout", "3s"],
        &["--drain-timeout", "7s"],
        &["-H", "X-A: b"],
        &["--subprotocol", "chat"],
        &["--tcp-nodelay", "off"],
        &["--source-ip", "127.0.0.2"],
        &["--permessage-deflate"],
        &["--permessage-deflate=prefer", "--deflate-level", "9", "--deflate-memory", "1"],
        &["--permessage-deflate", "--deflate-threshold", "9", "--deflate-window-bits", "9"],
        &["--permessage-deflate", "--deflate-context-takeover", "both"],
        &["--text"],
        &["--size", "1KiB"],
        &["--payload", "json"],
        &["--verify", "length"],
        &["--expect", "order"],
        &["--skip-messages", "1"],
        &["--udp-timeout", "3s"],
        &["--udp-offload", "off"],
        &["--pacing", "sleep"],
        &["--timestamps", "off"],
        &["--realtime"],
        &["--threads", "2"],
        &["--cacert", "x"],
        &["--insecure"],
        &["--tls-server-name", "x"],
        &["--tls-resume", "on"],
        &["--client-cert", "x", "--client-key", "y"],
        &["--tls-versions", "1.3"],
        &["--proxy", "http://127.0.0.1:1"],
    ];
    for flags in flags {
        assert_ne!(planned(flags), plain, "{flags:?} is not ignored");
        if flags[0] != "--drain-timeout" {
            assert_eq!(planned(flags), run(flags), "{flags:?}");
        }
    }
    assert_ne!(planned(&["--seed", "9"]).seed, planned(&[]).seed);
}

#[test]
fn what_is_asked_is_what_the_flags_say() {
    let asked = |flags: &[&str]| {
        let arguments = ["loadgen", "capacity", "--slo", "latency.p99<5ms"].iter().chain(flags).map(OsString::from);
        match parse(arguments, NonZeroUsize::MIN).unwrap() {
            Invocation::Capacity(planning) => planning.experiment,
            other => panic!("{flags:?} gave {other:?}"),
        }
    };
    let usual = asked(&[]);
    assert_eq!((usual.limits.precision, usual.confidence, usual.holdout), (0.03, 0.95, 3));
    assert_eq!((usual.probe, usual.max_time), (Duration::from_secs(1), Duration::from_secs(300)));
    assert_eq!(
        (usual.limits.arrival, usual.warmup),
        (Arrival::Poisson, Warmup::Auto { at_most: Duration::from_secs(10) })
    );
    assert_eq!((usual.limits.min_rate, usual.limits.max_rate), (20.0, 1e8));
    assert_eq!(asked(&["--slo", "errors.rate<1%"]).limits.slos.len(), 2);
    // A p99.9 needs 1,000 messages, and twice that are sent.
    assert_eq!(asked(&["--slo", "latency.p99.9<9ms"]).limits.min_rate, 200.0);
    assert_eq!(asked(&["--precision", "10%"]).limits.precision, 0.1);
    assert!((asked(&["--confidence", "90%"]).confidence - 0.9).abs() < 1e-12);
    assert_eq!(asked(&["--holdout", "5"]).holdout, 5);
    assert_eq!(asked(&["--probe", "2s"]).probe, Duration::from_secs(2));
    assert_eq!(asked(&["--max-time", "9s"]).max_time, Duration::from_secs(9));
    assert_eq!(asked(&["--arrival", "uniform"]).limits.arrival, Arrival::Uniform);
    assert_eq!(asked(&["--warmup", "2s"]).warmup, Warmup::For(Duration::from_secs(2)));
    assert_eq!(asked(&["--max-warmup", "2s"]).warmup, Warmup::Auto { at_most: Duration::from_secs(2) });
    let rates = asked(&["--min-rate", "1k", "--max-rate", "2k"]);
    assert_eq!((rates.limits.min_rate, rates.limits.max_rate), (1e3, 2e3));
}
