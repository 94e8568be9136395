//! What the command line makes of its arguments, and what it refuses with which words.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::time::Duration;

use clap::error::ErrorKind;
use loadgen::host::target::Spec;
use loadgen::plan::{Arrival, ContextTakeover, Demand, Kind, Load, Pacing, Payload, Plan, Stop, Timestamps, Verify};
use loadgen::program::cli::{Invocation, parse};
use loadgen::program::output::{Format, Output};

fn invoke(arguments: &[&str]) -> Result<Invocation, clap::Error> {
    let arguments = ["loadgen"].iter().chain(arguments).map(OsString::from);
    parse(arguments, NonZeroUsize::new(3).unwrap())
}

fn run(arguments: &[&str]) -> (Plan, Spec, Output) {
    match invoke(&[&["run"], arguments].concat()) {
        Ok(Invocation::Run { plan, server, output, .. }) => (plan, server, output),
        other => panic!("{arguments:?} gave {other:?}"),
    }
}

#[test]
fn without_arguments_it_answers_the_first_two_questions() {
    let Ok(Invocation::Quick { plan, output }) = invoke(&[]) else { panic!("no quick answer") };
    assert_eq!((plan, output.format), (run(&[]).0, Format::Text));
    let Ok(Invocation::Quick { output, .. }) = invoke(&["--format", "json", "-o", "x.json", "-q"]) else { panic!() };
    assert_eq!((output.format, output.json_file, output.quiet), (Format::Json, Some("x.json".into()), true));
}

#[test]
fn a_dash_is_stdout_for_the_report_and_no_file_for_the_others() {
    let (_, _, output) = run(&["-o", "-"]);
    assert_eq!((output.format, output.json_file), (Format::Json, None), "which then gets the JSON alone");
    refused(&[
        (&["--hgrm", "-"], ["--hgrm -", "expected a file"]),
        (&["--hlog", "-"], ["--hlog -", "expected a file"]),
    ]);
}

#[test]
fn defaults_are_those_of_the_help() {
    let (plan, server, output) = run(&[]);
    assert_eq!((plan.connections.get(), plan.threads.get(), plan.seed), (100, 3, 1));
    assert_eq!(plan.load, Load::Closed { in_flight: 1.try_into().unwrap() });
    assert_eq!(plan.stop, Stop::After(Duration::from_secs(10)));
    assert_eq!([plan.warmup, plan.drain_timeout, plan.connect.timeout].map(|time| time.as_secs()), [2, 10, 10]);
    assert_eq!((plan.message.size.min(), plan.message.size.max(), plan.message.kind), (64, 64, Kind::Binary));
    assert_eq!((plan.message.payload, plan.pacing, plan.connect.tcp_nodelay), (Payload::Random, Pacing::Auto, true));
    assert_eq!((plan.skip_messages, plan.timestamps), (0, Timestamps::Auto));
    assert_eq!((server, output.format, output.quiet), (Spec::Embedded(vec![]), Format::Text, false));
}

#[test]
fn every_flag_arrives_in_the_plan() {
    let (plan, server, output) = run(&[
        "ws://127.0.0.1:9/chat",
        "-c",
        "7",
        "--rate",
        "2.5e3",
        "--arrival",
        "poisson",
        "--pacing",
        "spin",
        "--timestamps",
        "on",
        "--messages",
        "40",
        "--warmup",
        "0s",
        "--drain-timeout",
        "1500ms",
        "--size",
        "64..4KiB",
        "--payload",
        "json",
        "--text",
        "--skip-messages",
        "2",
        "--connect-rate",
        "50",
        "--connect-timeout",
        "3s",
        "-H",
        "Host: echo.example",
        "-H",
        "X-A: b:c ",
        "--subprotocol",
        "v2",
        "--subprotocol",
        "v1",
        "--tcp-nodelay",
        "off",
        "--source-ip",
        "127.0.0.2",
        "--source-ip",
        "127.0.0.3",
        "--threads",
        "2",
        "--seed",
        "9",
        "--hgrm",
        "a",
        "--hlog",
        "b",
        "--format",
        "json",
    ]);
    assert_eq!(server, Spec::Url("ws://127.0.0.1:9/chat".parse().unwrap()));
    assert!(matches!(plan.load, Load::Open { rate, arrival: Arrival::Poisson } if rate.get() == 2_500.0));
    assert_eq!(plan.timestamps, Timestamps::On);
    assert_eq!((plan.pacing, plan.stop), (Pacing::Spin, Stop::Messages(40.try_into().unwrap())));
    assert_eq!((plan.warmup, plan.drain_timeout), (Duration::ZERO, Duration::from_millis(1_500)));
    assert_eq!((plan.message.size.min(), plan.message.size.max(), plan.message.kind), (64, 4_096, Kind::Text));
    assert_eq!((plan.connections.get(), plan.threads.get(), plan.seed), (7, 2, 9));
    assert_eq!(plan.skip_messages, 2);
    let connect = plan.connect;
    assert_eq!((connect.rate.map(|rate| rate.get()), connect.timeout.as_secs()), (Some(50.0), 3));
    let headers = [("Host", "echo.example"), ("X-A", "b:c")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!((connect.headers, connect.subprotocols), (headers.to_vec(), vec!["v2".to_owned(), "v1".to_owned()]));
    assert_eq!((connect.tcp_nodelay, connect.source_ips.len()), (false, 2));
    assert_eq!((output.format, output.hgrm, output.hlog), (Format::Json, Some("a".into()), Some("b".into())));
}

#[test]
fn compression_is_off_unless_asked_for_and_the_default_server_grants_it() {
    let (plan, server, _) = run(&[]);
    assert_eq!((plan.connect.permessage_deflate, plan.verify, server), (None, Verify::Full, Spec::Embedded(vec![])));
    let (plan, server, _) = run(&["--permessage-deflate", "--verify", "length"]);
    let deflate = plan.connect.permessage_deflate.unwrap();
    assert_eq!((deflate.demand, deflate.threshold, deflate.context_takeover), (Demand::On, 0, ContextTakeover::Off));
    assert_eq!((deflate.effort.level.get(), deflate.effort.memory.get(), deflate.window.get()), (3, 8, 15));
    assert_eq!(plan.verify, Verify::Length);
    let granting = ["--permessage-deflate", "on", "--deflate-context-takeover", "off"].map(str::to_owned);
    assert_eq!(server, Spec::Embedded(granting.to_vec()));
    let flags = ["--permessage-deflate=prefer", "--deflate-level", "9", "--deflate-memory", "1", "--server", ""];
    let more = ["--deflate-threshold", "1KiB", "--deflate-context-takeover", "both", "--deflate-window-bits", "9"];
    let (plan, server, _) = run(&[&flags[..], &more].concat());
    let deflate = plan.connect.permessage_deflate.unwrap();
    assert_eq!(
        (deflate.demand, deflate.threshold, deflate.context_takeover),
        (Demand::Prefer, 1024, ContextTakeover::Both)
    );
    assert_eq!((deflate.effort.level.get(), deflate.effort.memory.get(), deflate.window.get()), (9, 1, 9));
    assert_eq!(server, Spec::Embedded(vec![]), "a server that is given stays as it is");
}

#[test]
fn a_server_is_a_url_flags_or_a_command() {
    assert_eq!(run(&["--server", "--tcp-nodelay off"]).1, Spec::Embedded(vec!["--tcp-nodelay".into(), "off".into()]));
    assert!(matches!(run(&["--server", "ws://h:1/"]).1, Spec::Url(_)));
    assert!(matches!(run(&["--server", "./echo -p {port}"]).1, Spec::Command(_)));
}

#[test]
fn the_embedded_server_reads_its_own_arguments() {
    let arguments = ["embedded-server", "--listen", "127.0.0.1:0", "--help", "-q"];
    let Ok(Invocation::EmbeddedServer(rest)) = invoke(&arguments) else { panic!("not the embedded server") };
    assert_eq!(rest, ["--listen", "127.0.0.1:0", "--help", "-q"]);
}

#[test]
fn refused_loads_name_the_flag_the_value_and_what_was_expected() {
    refused(&[
        (&["-c", "0"][..], ["--connections", "'0'"]),
        (&["--rate", "0"], ["--rate", "above 0"]),
        (&["--rate", "fast"], ["--rate", "'fast' is not a number"]),
        (&["--rate", "9", "--in-flight", "2"], ["--in-flight", "--rate"]),
        (&["--arrival", "poisson"], ["required", "--rate"]),
        (&["--rate", "9", "--arrival", "bursts"], ["--arrival", "uniform, poisson"]),
        (&["-c", "4294967296"], ["--connections", "from 1 to 4294967295, as 1000, 1_000 or 1k"]),
        (&["-c", "1.5"], ["--connections", "a whole number"]),
        (&["--in-flight", "-5"], ["--in-flight", "a whole number"]),
        (&["--rate", "-5"], ["--rate", "'-5' is not a number of events per second; expected one as 5000, 0.5 or 10k"]),
        (&["--rate", ""], ["--rate", "expected one as"]),
        (&["--rate", "inf"], ["--rate", "expected one as"]),
        (&["--connect-rate", "-1k"], ["--connect-rate", "expected one as"]),
        (&["--seed", "-1"], ["--seed", "a whole number of at least 0"]),
        (&["--messages", "1e20"], ["--messages", "a whole number of at least 1"]),
        (&["-d", "-1s"], ["--duration", "10s, 500ms"]),
        (&["-d", "5"], ["--duration", "write 5s if it is seconds"]),
        (&["--warmup", "-1s"], ["--warmup", "10s, 500ms"]),
        (&["--drain-timeout", "5"], ["--drain-timeout", "write 5s"]),
        (&["--size", "-1"], ["--size", "expected bytes, as 64, 10kB (of 1000) or 4KiB (of 1024)"]),
        (&["--permessage-deflate", "--deflate-threshold", "5GiB"], ["--deflate-threshold", "at most 4294967295 bytes"]),
        (&["--permessage-deflate", "--deflate-level", "-1"], ["--deflate-level", "1 to 9"]),
        (&["--threads", "-1"], ["--threads", "from 1 to 1024"]),
        (&["--rate", "9", "--threshold", "achieved>=99"], ["--threshold", "write 99%"]),
        (&["--threshold", "errors.rate<1"], ["--threshold", "write 1% (100% if it is all)"]),
        (&["--threshold", "throughput>-5"], ["--threshold", "messages per second"]),
        (&["-d", "10"], ["--duration", "10s, 500ms"]),
        (&["-d", "0s"], ["--duration", "more than nothing"]),
        (&["-d", "1year"], ["--duration", "at most 30days"]),
        (&["-d", "1s", "--messages", "5"], ["--duration", "--messages"]),
        (&["--messages", "0"], ["--messages", "'0'"]),
    ]);
}

#[test]
fn other_refusals_name_the_flag_the_value_and_what_was_expected() {
    let file = env!("CARGO_MANIFEST_DIR");
    refused(&[
        (&["--size", "1GiB"][..], ["--size", "67108864"]),
        (&["--size", "9..1"], ["--size", "ends before it begins"]),
        (&["--text", "--binary"], ["--text", "--binary"]),
        (&["--payload", "/no/such/file"], ["--payload", "random, json or a file to send: No such file"]),
        (&["--payload", file], ["--payload", "not a regular file"]),
        (&["--payload", "/etc/passwd", "--size", "9"], ["--size", "file"]),
        (&["-H", "X-A"], ["--header", "expected 'Name: value'"]),
        (&["-H", "X A: b"], ["--header", "'X A' is not a header's name"]),
        (&["-H", "X-A: b\r\nX-B: c"], ["--header", "visible ASCII"]),
        (&["-H", "sec-websocket-KEY: x"], ["--header", "belongs to the handshake"]),
        (&["-H", "Upgrade: x"], ["--header", "belongs to the handshake"]),
        (&["-H", "Sec-WebSocket-Protocol: x"], ["--header", "--subprotocol"]),
        (&["--subprotocol", "a b"], ["--subprotocol", "token"]),
        (&["--subprotocol", ""], ["--subprotocol", "token"]),
        (&["--subprotocol", "a", "--subprotocol", "a"], ["--subprotocol a", "twice"]),
        (&["--source-ip", "localhost"], ["--source-ip", "invalid IP address"]),
        (&["--threads", "0"], ["--threads", "from 1 to"]),
        (&["--tcp-nodelay", "yes"], ["--tcp-nodelay", "on, off"]),
        (&["--permessage-deflate=maybe"], ["--permessage-deflate", "'maybe'"]),
        (&["--deflate-level", "3"], ["--deflate-level", "needs --permessage-deflate"]),
        (&["--permessage-deflate=off", "--deflate-memory", "3"], ["--deflate-memory", "needs --permessage-deflate"]),
        (&["--permessage-deflate", "--deflate-level", "0"], ["--deflate-level", "1 to 9"]),
        (&["--permessage-deflate", "--deflate-window-bits", "8"], ["--deflate-window-bits", "9 to 15"]),
        (&["--permessage-deflate", "--deflate-context-takeover", "yes"], ["--deflate-context-takeover", "'yes'"]),
        (&["--permessage-deflate", "--deflate-threshold", "few"], ["--deflate-threshold", "expected bytes"]),
        (&["--verify", "none"], ["--verify", "'none'"]),
        (&["-H", "Sec-WebSocket-Extensions: x"], ["--header", "--permessage-deflate"]),
        (&["--format", "xml"], ["--format", "text, json"]),
        (&["http://x/"], ["URL", "expected ws://"]),
        (&["wss://x/", "--tls-versions", "1.1"], ["--tls-versions", "1.2"]),
        (&["wss://x/", "--insecure", "--cacert", "x"], ["--insecure", "--cacert"]),
        (&["wss://x/", "--client-cert", "x"], ["--client-key", "required"]),
        (&["wss://x/", "--client-key", "x"], ["--client-cert", "required"]),
        (&["wss://x/", "--proxy", "https://x:1"], ["--proxy", "expected http://"]),
        (&["ws://x/", "--server", "ws://y/"], ["URL", "--server"]),
        (&["--server", "./echo"], ["--server", "{port}"]),
        (&["--hgrm", "x", "-o", "x"], ["--output and --hgrm", "same file: x"]),
    ]);
}

/// `run` with these arguments is wrong usage, and says these words.
fn refused(cases: &[(&[&str], [&str; 2])]) {
    for (arguments, words) in cases {
        let error = invoke(&[&["run"], *arguments].concat()).expect_err(&format!("{arguments:?}"));
        assert_eq!(error.exit_code(), 2, "{arguments:?}");
        let said = error.to_string();
        assert!(words.iter().all(|word| said.contains(word)), "{arguments:?} misses one of {words:?} in:\n{said}");
    }
}

#[test]
fn numbers_are_read_as_people_write_them() {
    let (plan, _, _) =
        run(&["-c", "1_000", "--rate", "1.5k", "-d", "1.5s", "--warmup", "1_000ms", "--size", "1k..4KiB"]);
    assert_eq!((plan.connections.get(), plan.offered_rate()), (1_000, Some(1_500.0)));
    assert_eq!((plan.stop, plan.warmup.as_secs()), (Stop::After(Duration::from_millis(1_500)), 1));
    assert_eq!((plan.message.size.min(), plan.message.size.max()), (1_000, 4_096));
    let (plan, _, _) =
        run(&["-c", "1k", "--in-flight", "1e1", "--messages", "10k", "--seed", "1M", "--connect-rate", "2k"]);
    assert_eq!((plan.connections.get(), plan.seed), (1_000, 1_000_000));
    assert_eq!(plan.load, Load::Closed { in_flight: 10.try_into().unwrap() });
    assert_eq!(plan.stop, Stop::Messages(10_000.try_into().unwrap()));
    assert_eq!(plan.connect.rate.map(|rate| rate.get()), Some(2_000.0));
}

#[test]
fn compare_and_sweep_read_numbers_alike() {
    for (arguments, words) in [
        (&["compare", "--aa", "--tolerance", "2"][..], ["--tolerance", "write 2% if it is 2 of 100"]),
        (&["compare", "--aa", "--tolerance", "-2%"], ["--tolerance", "from 0% to under 100%"]),
        (&["compare", "--aa", "--fail-on-regression", "0.02"], ["--fail-on-regression", "write 0.02%"]),
        (&["compare", "--aa", "--alpha", "1"], ["--alpha", "write 1%"]),
        (&["compare", "--aa", "--max-time", "60"], ["--max-time", "write 60s"]),
        (&["compare", "--aa", "--trial", "-1ms"], ["--trial", "10s, 500ms"]),
        (&["compare", "--aa", "--restart-every", "0"], ["--restart-every", "from 1 to 1000"]),
        (&["compare", "--aa", "--restart-every", "-1"], ["--restart-every", "from 1 to 1000"]),
        (&["compare", "--aa", "--seed", "x"], ["--seed", "a whole number"]),
        (
            &["compare", "--aa", "--rate", "500", "--trial", "100ms"],
            [
                "--trial 100ms at --rate 500 is 50 messages, and latency.p99, which is judged, needs 100",
                "200ms at least",
            ],
        ),
        (
            &["compare", "--aa", "--rate", "500", "--gate", "service_time.p99.9"],
            ["is 200 messages, and service_time.p99.9, which is judged, needs 1000", "2000ms at least"],
        ),
        (
            &["sweep", "--vary-load", "rate=10k,100", "--trial", "0.5s"],
            ["at --rate 100 is 50 messages", "1000ms at least"],
        ),
        (&["compare", "--aa", "--rate", "1", "--max-time", "60s"], ["--max-time", "3m 20s long"]),
        (&["sweep", "--vary-load", "rate=1k,1000"], ["--vary-load", "1000 is there twice"]),
        (&["sweep", "--vary-load", "in-flight=1,0"], ["--in-flight", "from 1 to 4294967295"]),
        (&["sweep", "--vary", "threads=1,0"], ["--threads", "from 1 to 1024"]),
        (&["sweep", "--vary", "threads=1,2", "--alpha", "nan%"], ["--alpha", "2% or 0.5%"]),
    ] {
        let error = invoke(arguments).expect_err(&format!("{arguments:?}"));
        let said = error.to_string();
        assert_eq!(error.exit_code(), 2, "{said}");
        assert!(words.iter().all(|word| said.contains(word)), "{arguments:?} misses one of {words:?} in:\n{said}");
    }
    let Ok(Invocation::Sweep(sweeping)) = invoke(&["sweep", "--vary-load", "connections=1k,2_000"]) else { panic!() };
    let trial = |arguments: &[&str]| match invoke(arguments) {
        Ok(Invocation::Compare(comparing)) => comparing.question.tempo.trial.as_millis(),
        Ok(Invocation::Sweep(sweeping)) => sweeping.question.tempo.trial.as_millis(),
        other => panic!("{arguments:?} gave {other:?}"),
    };
    assert_eq!([trial(&["compare", "--aa"]), trial(&["compare", "--aa", "--rate", "20k"])], [10, 100]);
    assert_eq!(trial(&["compare", "--aa", "--rate", "500"]), 400, "twice the messages that a p99 needs");
    assert_eq!(trial(&["compare", "--aa", "--rate", "500", "--gate", "latency-p95", "--trial", "40ms"]), 40);
    for metric in ["latency.p95", "service_time.p95", "seen.p95", "latency.max"] {
        assert_eq!(trial(&["compare", "--aa", "--rate", "500", "--gate", metric, "--trial", "40ms"]), 40, "{metric}");
    }
    assert_eq!(trial(&["sweep", "--vary-load", "rate=10k,1k"]), 200, "of the slowest");
    let connections: Vec<u32> = sweeping.arms.iter().map(|(_, plan)| plan.connections.get()).collect();
    assert_eq!(connections, [1_000, 2_000]);
}

#[test]
fn help_says_default_and_unit_of_every_flag_with_a_value() {
    let error = invoke(&["run", "--help"]).unwrap_err();
    assert_eq!((error.kind(), error.exit_code()), (ErrorKind::DisplayHelp, 0));
    let help = error.to_string();
    for flag in ["--in-flight", "--rate", "--warmup", "--size", "--payload", "--hgrm", "--quiet", "Exit codes"] {
        assert!(help.contains(flag), "{flag} is missing in\n{help}");
    }
    for default in
        ["100", "1", "uniform", "auto", "10s", "2s", "64", "random", "on", "half of the allowed cores", "text"]
    {
        assert!(help.contains(&format!("[default: {default}]")), "{default} is no default in\n{help}");
    }
}
