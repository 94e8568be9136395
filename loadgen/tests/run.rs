//! The real program: its exit codes, what it writes where, and that every kind of message comes back as it was.

mod binary;

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use binary::{EmbeddedServer, Finished, Json, loadgen, wait_until};
use rustix::process::{Pid, Signal, test_kill_process};

/// A short run: what is asked here is whether it works, not how fast.
const BRIEF: [&str; 9] = ["run", "-c", "4", "--warmup", "0s", "--drain-timeout", "5s", "--format", "json"];

/// Runs briefly with `flags` too; every message must have come back as it was.
fn verified(flags: &[&str]) -> Json {
    let report = loadgen(&[&BRIEF[..], flags].concat()).json(&[0, 98]);
    let sent = report.number("/messages/sent");
    assert!(sent > 0.0, "{flags:?}: nothing was sent");
    assert_eq!(report.number("/messages/verified"), sent, "{flags:?}");
    assert_eq!(report.number("/connections/established"), 4.0, "{flags:?}");
    report
}

/// A file of this test process's own.
fn scratch(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{name}", std::process::id()))
}

fn no_panic(finished: &Finished) {
    assert!(!finished.stderr.contains("panicked"), "{}", finished.stderr);
}

#[test]
fn a_short_closed_loop_is_reported_as_text() {
    let finished = loadgen(&["run", "-c", "4", "-d", "1s", "--warmup", "0s"]).wait();
    assert!(matches!(finished.code, Some(0 | 98)), "{}", finished.stderr);
    let words = ["closed loop, 4 connections", "embedded server at ws://127.0.0.1:", "errors      none"];
    assert!(words.iter().all(|word| finished.stdout.contains(word)), "{}", finished.stdout);
    assert_eq!(finished.stderr, "", "no progress where stderr is no terminal");
}

#[test]
fn a_dead_server_is_named_with_the_cause() {
    let finished = loadgen(&["run", "ws://127.0.0.1:1/", "-d", "1s"]).wait();
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(1), ""));
    assert!(finished.stderr.contains("ws://127.0.0.1:1/"), "{}", finished.stderr);
    assert_eq!(finished.stderr.to_lowercase().matches("refused").count(), 1, "{}", finished.stderr);
}

#[test]
fn memory_that_there_is_not_is_an_error_before_anything_is_opened() {
    // 100 TB, by every subcommand; nothing listens at that URL, which would be the error otherwise.
    let load = ["-c", "1000", "--in-flight", "4294967295"];
    let url = ["--a", "ws://127.0.0.1:1/", "--b", "ws://127.0.0.1:1/"];
    for command in
        [&["run", "ws://127.0.0.1:1/"][..], &[&["compare"][..], &url].concat(), &["sweep", "--vary", "threads=1,2"]]
    {
        let finished = loadgen(&[command, &load].concat()).wait();
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(1), ""), "{}", finished.stderr);
        let arithmetic = "--connections 1000 x --in-flight 4294967295 x 24 B = ";
        assert!(finished.stderr.contains(arithmetic), "{command:?}: {}", finished.stderr);
        assert!(!finished.stderr.contains("refused"), "{}", finished.stderr);
    }
}

#[test]
fn each_cause_is_told_once() {
    let finished = loadgen(&["run", "--server", "/no/such/program {port}"]).wait();
    assert_eq!(finished.code, Some(1));
    assert_eq!(finished.stderr.matches("No such file").count(), 1, "{}", finished.stderr);
    let finished = loadgen(&["run", "ws://no-such-host.invalid/"]).wait();
    assert_eq!(finished.code, Some(1));
    assert_eq!(finished.stderr.matches("failed to lookup").count(), 1, "{}", finished.stderr);
}

#[test]
fn wrong_usage_is_exit_code_2_and_names_the_flag() {
    for (arguments, flag) in [
        (&["run", "--no-such-flag"][..], "--no-such-flag"),
        (&["run", "--seed", "x"], "--seed"),
        (&["run", "--connect-rate", "none"], "--connect-rate"),
        (&["run", "--connect-timeout", "0s"], "--connect-timeout"),
        (&["run", "--drain-timeout", "5"], "--drain-timeout"),
        (&["--hlog", "x"], "--hlog"),
    ] {
        let finished = loadgen(arguments).wait();
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(finished.stderr.contains(flag), "{arguments:?}: {}", finished.stderr);
    }
}

#[test]
fn an_interrupted_run_reports_what_there_is() {
    let server = EmbeddedServer::start(&[]);
    let run = loadgen(&[&BRIEF[..], &[&server.url, "-d", "60s"]].concat());
    std::thread::sleep(Duration::from_millis(1500));
    run.signal(Signal::INT);
    let interrupted = Instant::now();
    let report = run.json(&[130]);
    assert!(interrupted.elapsed() < Duration::from_secs(20), "{:?}", interrupted.elapsed());
    assert_eq!(report.0["interrupted"], true);
    assert!(report.number("/messages/verified") > 0.0);
    assert!(report.number("/load/duration_seconds") < 30.0);
}

#[test]
fn an_interrupted_start_is_given_up() {
    let started = scratch("started");
    // Whatever is left in the group is this server.
    let server = format!("sh -c 'echo $$ > {}; exec sleep 60' {{port}}", started.display());
    let run = loadgen(&["run", "--server", &server]);
    let pid = || fs::read_to_string(&started).ok().and_then(|text| Pid::from_raw(text.trim().parse().ok()?));
    wait_until("the server starts", || pid().is_some());
    run.signal(Signal::INT);
    let interrupted = Instant::now();
    let finished = run.wait();
    assert!(interrupted.elapsed() < Duration::from_secs(20), "{:?}", interrupted.elapsed());
    assert_eq!(finished.code, Some(130), "{}", finished.stderr);
    assert!(finished.stderr.contains("interrupted"), "{}", finished.stderr);
    assert!(test_kill_process(pid().unwrap()).is_err(), "the server is gone");
    fs::remove_file(started).unwrap();
}

#[test]
fn nobody_reading_stdout_is_no_error() {
    for format in ["text", "json"] {
        let mut run = loadgen(&["run", "-c", "4", "-d", "500ms", "--warmup", "0s", "--format", format]);
        run.close_stdout();
        let finished = run.wait();
        assert!(matches!(finished.code, Some(0 | 98)), "{:?}: {}", finished.code, finished.stderr);
        no_panic(&finished);
    }
}

#[test]
fn a_full_disk_is_named() {
    let finished = loadgen(&["run", "-c", "4", "-d", "500ms", "--warmup", "0s", "-o", "/dev/full"]).wait();
    assert_eq!(finished.code, Some(1));
    assert!(finished.stderr.contains("/dev/full"), "{}", finished.stderr);
    no_panic(&finished);
}

#[test]
fn one_file_is_not_written_twice_however_it_is_spelled() {
    let file = scratch("twice.json");
    let (folder, name) = (file.parent().unwrap(), file.file_name().unwrap().to_str().unwrap());
    let other = folder.join(".").join(name);
    let finished = loadgen(&["run", "-o", file.to_str().unwrap(), "--hlog", other.to_str().unwrap()]).wait();
    assert_eq!(finished.code, Some(2));
    assert!(finished.stderr.contains("name the same file"), "{}", finished.stderr);
}

#[test]
fn a_limit_on_the_size_of_files_is_an_error_as_a_full_disk_is() {
    let file = scratch("limited.json");
    let script = format!(
        "ulimit -f 4; exec {} run -c 10 -d 300ms --warmup 0s -q -o {} >&2",
        env!("CARGO_BIN_EXE_loadgen"),
        file.display()
    );
    let finished = Command::new("sh").args(["-c", &script]).output().unwrap();
    let said = String::from_utf8(finished.stderr).unwrap();
    assert_eq!(finished.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot write the report to") && said.contains("File too large"), "{said}");
    assert!(!file.exists());
}

#[test]
fn flags_of_the_embedded_server_reach_it() {
    let report = verified(&["-d", "500ms", "--server", "--tcp-nodelay off"]);
    let config = &report.0["environment"]["server_config"];
    assert!(config.to_string().contains(r#""tcp_nodelay":false"#), "{config}");
    let target = report.0["target"].as_str().unwrap();
    assert!(target.starts_with("embedded server --tcp-nodelay off at ws://127.0.0.1:"), "{target}");
}

#[test]
fn a_command_is_a_server_even_behind_a_shell_and_ends_with_the_run() {
    let pids = scratch("pids");
    let binary = env!("CARGO_BIN_EXE_loadgen");
    // The shell's own `wait` keeps it from becoming the server.
    let server = format!(
        "sh -c '{binary} embedded-server --listen 127.0.0.1:$1 & echo $$ $! > {}; wait' - {{port}}",
        pids.display()
    );
    let report = verified(&["-d", "1s", "--server", &server]);
    let text = fs::read_to_string(&pids).unwrap();
    let gone =
        || text.split_whitespace().all(|pid| test_kill_process(Pid::from_raw(pid.parse().unwrap()).unwrap()).is_err());
    wait_until("shell and server end", gone);
    // A shell that waits uses no CPU: what is reported is the server's, which takes longer than 1 us to read and to write.
    let (server, messages) = (report.number("/resources/server/cpu_seconds"), report.number("/messages/verified"));
    assert!(server > messages * 1e-6, "{server} s of CPU for {messages} messages");
    fs::remove_file(pids).unwrap();
}

#[test]
fn as_many_messages_as_were_asked_for() {
    for load in [&[][..], &["--in-flight", "7"], &["--rate", "2000"]] {
        let report = verified(&[&["--messages", "500"], load].concat());
        assert_eq!(report.number("/messages/sent"), 500.0, "{load:?}");
        assert_eq!(report.number("/latency/count"), 500.0, "{load:?}");
    }
}

#[test]
fn every_kind_of_message_is_verified() {
    let server = EmbeddedServer::start(&[]);
    let file = scratch("payload");
    fs::write(&file, "né pour être envoyé".repeat(100)).unwrap();
    for flags in [
        &["--size", "64..4096", "--in-flight", "4"][..],
        &["--size", "0"],
        &["--size", "200KiB"],
        &["--payload", "json", "--text"],
        &["--text", "--size", "1..300"],
        &["--payload", file.to_str().unwrap()],
        &["--payload", file.to_str().unwrap(), "--text"],
    ] {
        verified(&[&[&server.url, "-d", "400ms"], flags].concat());
    }
    fs::remove_file(file).unwrap();
}

#[test]
fn connections_are_opened_at_the_rate_asked_for() {
    let server = EmbeddedServer::start(&[]);
    let started = Instant::now();
    verified(&[&server.url, "-d", "100ms", "--threads", "1", "--connect-rate", "4"]);
    assert!(started.elapsed() > Duration::from_millis(700), "four at 4 a second in {:?}", started.elapsed());
}

#[test]
fn a_dash_is_stdout() {
    let brief = ["run", "-c", "4", "--warmup", "0s", "-d", "200ms"];
    let report = loadgen(&[&brief[..], &["-o", "-"]].concat()).json(&[0, 98]);
    let saved = scratch("dash.json");
    fs::write(&saved, report.0.to_string()).unwrap();
    let finished = loadgen(&["report", saved.to_str().unwrap(), "--to", "json", "-o", "-"]).wait();
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&finished.stdout).unwrap(), report.0);
    fs::remove_file(saved).unwrap();
    for flag in ["--hgrm", "--hlog"] {
        let finished = loadgen(&[&brief[..], &[flag, "-"]].concat()).wait();
        assert_eq!(finished.code, Some(2));
        assert!(finished.stderr.contains(flag) && finished.stderr.contains("expected a file"), "{}", finished.stderr);
    }
    assert!(!PathBuf::from("-").exists());
}

#[test]
fn a_failed_run_makes_no_file_and_a_full_stdout_costs_no_file() {
    let file = scratch("sinks.json");
    let output = file.to_str().unwrap();
    assert_eq!(loadgen(&["run", "ws://127.0.0.1:1/", "-d", "1s", "-o", output]).wait().code, Some(1));
    assert!(!file.exists());
    // Of every command, and of a report that is converted.
    let commands: [&[&str]; 4] = [
        &["run", "-c", "2", "-d", "200ms", "--warmup", "0s"],
        &["compare", "--aa", "-c", "2", "--max-time", "2s", "--trial", "100ms", "-q"],
        &["sweep", "--vary-load", "in-flight=1,2", "-c", "2", "--max-time", "2s", "-q"],
        &["-q"],
    ];
    for arguments in commands {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_loadgen"));
        let finished = command.args(arguments).args(["-o", output]).stdout(full).output().unwrap();
        let said = String::from_utf8(finished.stderr).unwrap();
        assert_eq!(finished.status.code(), Some(1), "{arguments:?}: {said}");
        assert_eq!(said.matches("cannot write the report to stdout: No space left").count(), 1, "{said}");
        let report: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        assert!(report["schema"].as_str().unwrap().starts_with("fathom/"), "{arguments:?}");
        fs::remove_file(&file).unwrap();
    }
}
