//! The command line of the real binary: exit codes, messages, stdout.

mod support;

use std::io::Read;
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

use support::Server;

fn run(flags: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_echo-server")).args(flags).output().unwrap()
}

fn config(flags: &[&str]) -> serde_json::Value {
    let output = run(&[flags, &["--print-config"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn wrong_usage_names_the_flag_and_exits_2() {
    let cases: &[&[&str]] = &[
        &["--listen", "localhost"],
        &["--threads", "0"],
        &["--listen", "::1:80"],
        &["--runtime", "both"],
        &["--balance", "fair"],
        &["--balance", "kernel", "--runtime", "work-stealing"],
        &["--pin", "3-1"],
        &["--pin", "1023"],
        &["--event-interval", "0"],
        &["--tcp-nodelay", "maybe"],
        &["--tcp-quickack", "1"],
        &["--busy-poll", "1s"],
        &["--recv-buffer", "big"],
        &["--backlog", "0"],
        &["--keepalive", "60s"],
        &["--keepalive", "1ms,1s,3"],
        &["--read-buffer", "10"],
        &["--write", "later"],
        &["--max-message-size", "16XiB"],
        &["--max-fragments", "0"],
        &["--max-buffered", "10KiB"],
        &["--max-connections", "0"],
        &["--handshake-timeout", "10"],
        &["--close-timeout", "soon"],
        &["--drain-timeout", ""],
        &["--log-format", "xml"],
    ];
    for case in cases {
        let output = run(case);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{case:?}: {stderr}");
        assert!(stderr.contains(case[0]), "{case:?}: {stderr}");
        assert!(output.stdout.is_empty(), "{case:?}");
    }
}

#[test]
fn a_number_that_cannot_be_is_answered_with_what_was_expected() {
    for (flag, value, expected) in [
        ("--threads", "0", "expected a whole number from 1 to 1024"),
        ("--threads", "1e9", "expected a whole number from 1 to 1024"),
        ("--threads", "-5", "expected a whole number from 1 to 1024"),
        ("--event-interval", "1.5", "expected a whole number from 1 to 4294967295"),
        ("--backlog", "-1", "expected a whole number from 1 to 2147483647"),
        ("--busy-poll", "-1k", "expected a whole number from 0 to 2147483647"),
        ("--defer-accept", "4G", "expected a whole number from 0 to 2147483647"),
        ("--fast-open", "nan", "expected a whole number from 0"),
        ("--recv-buffer", "4GiB", "expected at most 2147483647 bytes"),
        ("--send-buffer", "-64KiB", "expected bytes, as 64, 10kB (of 1000) or 4KiB (of 1024)"),
        ("--notsent-lowat", "inf", "expected bytes"),
        ("--read-buffer", "-1", "expected bytes"),
        ("--inject-cost", "2M", "expected a whole number from 0 to 1000000"),
        ("--inject-jitter", "1.5s", "expected at most 1s"),
        ("--inject-stall", "20ms", "expected a length and an interval, as 20ms/1s, or none"),
        ("--inject-stall", "0s/1s", "expected a stall of more than nothing, as 20ms/1s"),
        ("--inject-stall", "1s/1s", "expected a stall shorter than the interval, as 20ms/1s"),
        ("--inject-stall", "20/1s", "expected a time with its unit"),
        ("--max-message-size", "", "expected bytes"),
        ("--max-message-size", "8EiB", "expected at most 4294967296 bytes (4GiB)"),
        ("--max-fragments", "0", "expected a whole number from 1 to 4294967295"),
        ("--max-connections", "0", "expected a whole number of at least 1"),
        ("--max-connections", "99999999999999999999", "expected a whole number of at least 1"),
        ("--handshake-timeout", "10", "expected a time with its unit, as 10s, 500ms or 1m30s; write 10s"),
        ("--close-timeout", "-1s", "expected a time with its unit"),
        ("--drain-timeout", "1000000years", "expected at most 100years"),
    ] {
        let output = run(&[flag, value]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{flag} {value}: {stderr}");
        let first = stderr.lines().next().unwrap_or_default();
        assert!(first.contains(flag) && first.contains(expected), "{flag} {value}: {stderr}");
    }
}

#[test]
fn numbers_are_read_as_people_write_them() {
    let flags =
        ["--max-connections", "10k", "--max-fragments", "1_000", "--backlog", "1.5k", "--event-interval", "1e2"];
    let more =
        ["--max-message-size", "1_024KiB", "--read-buffer", "64k", "--drain-timeout", "1.5s", "--inject-cost", "+5"];
    let half = config(&["--drain-timeout", "1500ms"]);
    let config = config(&[flags, more].concat());
    assert_eq!(config["limits"]["max_connections"], 10_000);
    assert_eq!(config["limits"]["max_fragments"], 1_000);
    assert_eq!(config["limits"]["max_message_size"], 1 << 20);
    assert_eq!(config["socket"]["backlog"], 1_500);
    assert_eq!(config["workers"]["event_interval"], 100);
    assert_eq!(config["echo"]["read_buffer"], 64_000);
    assert_eq!(config["echo"]["inject_cost"], 5);
    assert_eq!(config["limits"]["drain_timeout"], half["limits"]["drain_timeout"]);
}

#[test]
fn an_address_that_cannot_be_had_is_named_with_the_reason() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let occupant = TcpListener::bind(taken).unwrap();
    let server = Server::start(&["--threads", "2"]);
    // The second shares its port with its own workers, but not with another server.
    for port in [occupant.local_addr().unwrap().port(), server.port] {
        let address = format!("127.0.0.1:{port}");
        let output = run(&["--listen", &address]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains(&format!("--listen {address}: Address already in use")), "{stderr}");
    }
    let output = run(&["--listen", "192.0.2.1:80"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("--listen 192.0.2.1:80: "));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn every_listener_has_its_ready_line() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_echo-server"))
        .args(["--listen", "127.0.0.1:0", "--listen", "[::1]:0"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut text = String::new();
    let mut byte = [0];
    while text.lines().count() < 2 || !text.ends_with('\n') {
        stdout.read_exact(&mut byte).unwrap();
        text.push(byte[0] as char);
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].starts_with("listening on ws://127.0.0.1:") && lines[0].ends_with('/'), "{text}");
    assert!(lines[1].starts_with("listening on ws://[::1]:") && lines[1].ends_with('/'), "{text}");
}

#[test]
fn the_last_of_a_repeated_flag_counts() {
    assert_eq!(config(&[])["listen"], serde_json::json!(["127.0.0.1:8181"]));
    let config = config(&[
        "--write",
        "per-frame",
        "--write",
        "vectored",
        "--threads",
        "3",
        "--threads",
        "1",
        "--listen",
        "127.0.0.1:1",
        "--listen",
        "[::1]:2",
        "--max-message-size",
        "1KiB",
        "--max-message-size",
        "2MiB",
    ]);
    assert_eq!(config["listen"], serde_json::json!(["127.0.0.1:1", "[::1]:2"]));
    assert_eq!(config["echo"]["write"], "vectored");
    assert_eq!(config["workers"]["threads"], 1);
    assert_eq!(config["limits"]["max_message_size"], 2 << 20);
}

#[test]
fn max_buffered_is_resolved() {
    let resolved = config(&[])["limits"]["max_buffered"].as_u64().unwrap();
    assert!((1 << 20..=1 << 30).contains(&resolved), "{resolved}");
    assert_eq!(config(&["--max-buffered", "3GiB"])["limits"]["max_buffered"], 3u64 << 30);
}

#[test]
fn threads_are_resolved_and_cores_checked() {
    let cores = std::thread::available_parallelism().unwrap().get();
    let resolved = config(&["--pin", "on"]);
    assert_eq!(resolved["workers"]["threads"], cores);
    assert_eq!(resolved["workers"]["pin"].as_array().unwrap().len(), cores);
}

#[test]
fn a_closed_stdout_is_no_panic() {
    for flags in
        [&["--print-config"][..], &["--help"], &["--version"], &["--listen", "127.0.0.1:0", "--drain-timeout", "0s"]]
    {
        let mut command = Command::new(env!("CARGO_BIN_EXE_echo-server"));
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut child = command.args(flags).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        let serving = flags.contains(&"--listen");
        if serving {
            std::thread::sleep(std::time::Duration::from_millis(300));
            assert!(child.try_wait().unwrap().is_none(), "a server without a reader of its stdout goes on");
            child.kill().unwrap();
        }
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!stderr.contains("panicked"), "{flags:?}: {stderr}");
        assert!(serving || output.status.code() == Some(0), "{flags:?}: {:?}", output.status);
    }
}

#[test]
fn help_tells_every_default() {
    let help = String::from_utf8(run(&["--help"]).stdout).unwrap();
    for default in
        ["127.0.0.1:8181", "16MiB", "131072", "100000", "10s", "5s", "4096", "61", "cork", "sharded", "exact"]
    {
        assert!(help.contains(&format!("[default: {default}]")), "{default}\n{help}");
    }
}
