//! Flags of a load, each seen where it takes effect: at a server that keeps what it is sent, in the kernel's view of the
//! program's sockets and threads, or in a figure of the report that nothing else could have made.

mod binary;
#[path = "flags/recorder.rs"]
mod recorder;
#[path = "faults/servers.rs"]
mod servers;

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use binary::{EmbeddedServer, Json, Run, loadgen, wait_until};
use recorder::Recorder;
use rustix::process::{PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use servers::{echo, server};
use socket2::Socket;
use wire::OpCode;

/// Runs with these flags; every message must have come back as it was. A busy machine may make it late (98).
#[track_caller]
fn run(flags: &[&str]) -> Json {
    let report = loadgen(&[&["run", "--warmup", "0s", "--format", "json"], flags].concat()).json(&[0, 98]);
    let sent = report.number("/messages/sent");
    assert!(sent > 0.0, "{flags:?}: nothing was sent");
    assert_eq!(report.number("/messages/verified"), sent, "{flags:?}");
    report
}

/// Runs for as long as the test needs it, against this server, with four connections, all of which have been opened.
fn running(recorder: &Recorder, flags: &[&str]) -> Run {
    let run = loadgen(&[&["run", &recorder.url, "-c", "4", "-d", "60s", "-q"], flags].concat());
    wait_until("all connections have sent", || {
        let seen = recorder.seen();
        seen.len() == 4 && seen.iter().all(|seen| !seen.messages.is_empty())
    });
    run
}

/// Duplicates of the sockets of a running program that are connected to this server.
fn sockets_to(url: &str, run: &Run) -> Vec<Socket> {
    let process = pidfd_open(run.pid(), PidfdFlags::empty()).unwrap();
    let to = |socket: &Socket| {
        let peer = socket.peer_addr().ok().and_then(|peer| peer.as_socket());
        peer.is_some_and(|peer| url.contains(&peer.to_string()))
    };
    fs::read_dir(format!("/proc/{}/fd", run.pid().as_raw_nonzero()))
        .unwrap()
        .map(|entry| entry.unwrap())
        // What is no socket answers with an error to all that is asked of it.
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|fd| pidfd_getfd(&process, fd, PidfdGetfdFlags::empty()).ok())
        .map(|fd: OwnedFd| Socket::from(fd))
        .filter(to)
        .collect()
}

#[test]
fn headers_and_subprotocols_are_in_every_handshake() {
    let recorder = Recorder::start();
    let headers = ["-H", "Authorization: Bearer x", "--header", "Host: echo.example", "-H", "X-A: 1", "-H", "X-A: 2"];
    let rest = ["-c", "3", "--messages", "30", "--subprotocol", "v2", "--subprotocol", "v1"];
    run(&[&[recorder.url.as_str()], &headers[..], &rest].concat());
    let seen = recorder.seen();
    assert_eq!(seen.len(), 3);
    for seen in seen.iter() {
        assert_eq!(seen.header("Authorization"), ["Bearer x"], "{}", seen.head);
        assert_eq!(seen.header("Host"), ["echo.example"], "in the place of the URL's: {}", seen.head);
        assert_eq!(seen.header("X-A"), ["1", "2"], "{}", seen.head);
        assert_eq!(seen.header("Sec-WebSocket-Protocol"), ["v2, v1"], "{}", seen.head);
    }
}

#[test]
fn without_such_flags_a_handshake_has_none_of_it() {
    let recorder = Recorder::start();
    run(&[&recorder.url, "-c", "1", "--messages", "1"]);
    let seen = recorder.seen();
    assert_eq!(seen[0].header("Host"), [recorder.url.trim_start_matches("ws://").trim_end_matches('/')]);
    for name in ["Authorization", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"] {
        assert!(seen[0].header(name).is_empty(), "{}", seen[0].head);
    }
}

#[test]
fn connections_come_from_the_source_addresses_in_turn() {
    let recorder = Recorder::start();
    let sources = ["--source-ip", "127.0.0.2", "--source-ip", "127.0.0.3"];
    run(&[&[recorder.url.as_str(), "-c", "4", "--messages", "40"], &sources[..]].concat());
    let mut from: Vec<IpAddr> = recorder.seen().iter().map(|seen| seen.peer.ip()).collect();
    from.sort_unstable();
    assert_eq!(from, ["127.0.0.2", "127.0.0.2", "127.0.0.3", "127.0.0.3"].map(|ip| ip.parse::<IpAddr>().unwrap()));
}

#[test]
fn tcp_nodelay_is_set_on_every_socket_or_on_none() {
    for (value, expected) in [("on", true), ("off", false)] {
        let recorder = Recorder::start();
        let run = running(&recorder, &["--tcp-nodelay", value]);
        let options: Vec<bool> =
            sockets_to(&recorder.url, &run).iter().map(|socket| socket.tcp_nodelay().unwrap()).collect();
        assert_eq!(options, [expected; 4], "{value}");
    }
}

#[test]
fn there_are_as_many_workers_as_threads_are_asked_for() {
    // Whatever half of the machine's cores is, it is not both.
    for (threads, workers) in [("2", 2), ("3", 3)] {
        let recorder = Recorder::start();
        let run = running(&recorder, &["--threads", threads]);
        let tasks = fs::read_dir(format!("/proc/{}/task", run.pid().as_raw_nonzero())).unwrap();
        let names = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("comm")).unwrap());
        assert_eq!(names.filter(|name| name.starts_with("worker-")).count(), workers);
    }
}

#[test]
fn spinning_takes_the_cpu_that_sleeping_leaves() {
    let cpu = |pacing: &str| {
        let flags = ["-c", "1", "--threads", "1", "--rate", "20", "-d", "1s", "--pacing", pacing];
        run(&flags).number("/resources/loadgen/cpu_seconds")
    };
    let (sleeping, spinning) = (cpu("sleep"), cpu("spin"));
    // A hundredth against all that the machine has to give: a tenth of a core would do.
    assert!(spinning > 3.0 * sleeping, "{spinning} s spinning, {sleeping} s sleeping");
}

#[test]
fn auto_spins_where_gaps_are_short_and_sleeps_where_they_are_long() {
    let paced = |rate: &str, pacing: &[&str]| {
        let load = ["-c", "1", "--threads", "1", "-d", "1s", "--rate", rate];
        run(&[&load[..], pacing].concat())
    };
    let spun = |report: &Json| report.number("/resources/worker_paced/0/spun");
    let (short, long) = (paced("5000", &[]), paced("20", &["--pacing", "auto"]));
    // A message every 50 ms, and a margin of 1 ms at the most.
    assert!(spun(&long) < 0.1, "{}", spun(&long));
    if short.0["resources"]["worker_paced"][0]["core_shared"] == true {
        assert_eq!(spun(&short), 0.0, "it may need the core for others");
    } else {
        assert!(spun(&short) > 3.0 * spun(&long) && spun(&short) > 0.05, "{} and {}", spun(&short), spun(&long));
    }
    assert_eq!(spun(&paced("5000", &["--pacing", "sleep"])), 0.0);
}

#[test]
fn arrivals_are_uniform_or_drawn_by_the_seed() {
    let sent = |flags: &[&str]| {
        let load = ["-c", "2", "--threads", "1", "--rate", "2000", "-d", "500ms"];
        run(&[&load[..], flags].concat()).number("/messages/sent")
    };
    assert_eq!(sent(&["--arrival", "uniform"]), 1000.0);
    let drawn = ["1", "2", "3"].map(|seed| sent(&["--arrival", "poisson", "--seed", seed]));
    assert_eq!(sent(&["--arrival", "poisson", "--seed", "2"]), drawn[1], "the same seed, the same times");
    assert!(drawn.iter().any(|&drawn| drawn != 1000.0) && drawn != [drawn[0]; 3], "{drawn:?}");
}

#[test]
fn payloads_are_those_of_the_seed() {
    let sent = |seed: &str| {
        let recorder = Recorder::start();
        run(&[&recorder.url, "-c", "1", "--messages", "20", "--seed", seed]);
        recorder.messages()
    };
    let (one, two) = (sent("1"), sent("2"));
    assert_eq!(one.len(), 20);
    assert_eq!(sent("1"), one);
    assert!(one.iter().zip(&two).all(|(one, two)| one != two));
}

#[test]
fn payload_size_and_frame_type_are_as_asked_for() {
    let sent = |flags: &[&str]| {
        let recorder = Recorder::start();
        run(&[&[recorder.url.as_str(), "-c", "1", "--messages", "40"], flags].concat());
        let messages = recorder.messages();
        assert_eq!(messages.len(), 40, "{flags:?}");
        messages
    };
    for flags in [&[][..], &["--binary"]] {
        assert!(sent(flags).iter().all(|(opcode, payload)| (*opcode, payload.len()) == (OpCode::Binary, 64)));
    }
    let texts = sent(&["--text", "--size", "10..20"]);
    assert!(texts.iter().all(|(opcode, text)| *opcode == OpCode::Text && std::str::from_utf8(text).is_ok()));
    let sizes: BTreeSet<usize> = texts.iter().map(|(_, text)| text.len()).collect();
    assert!(sizes.len() > 1 && sizes.iter().all(|size| (10..=20).contains(size)), "{sizes:?}");
    let records = sent(&["--payload", "json", "--size", "500"]);
    assert!(records.iter().all(|(_, record)| record.len() == 500 && record.windows(2).any(|pair| pair == b"\":")));
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("flags-{}-payload", std::process::id()));
    fs::write(&file, "as it stands in a file").unwrap();
    let whole = sent(&["--payload", file.to_str().unwrap()]);
    assert!(whole.iter().all(|(_, payload)| payload == b"as it stands in a file"), "{:?}", whole[0]);
    fs::remove_file(file).unwrap();
}

#[test]
fn the_warm_up_is_sent_and_not_counted() {
    for (warmup, all) in [("300ms", 500), ("0s", 200)] {
        let recorder = Recorder::start();
        let load = ["-c", "2", "--threads", "1", "--rate", "1000", "-d", "200ms", "--warmup", warmup, "-q"];
        let report = loadgen(&[&["run", &recorder.url, "--format", "json"], &load[..]].concat()).json(&[0, 98]);
        assert_eq!(report.number("/messages/sent"), 200.0);
        assert_eq!(recorder.messages().len(), all, "with {warmup} of warm-up");
    }
}

#[test]
fn replies_are_waited_for_as_long_as_the_drain_timeout_says() {
    let url = server(|_, payload, _| {
        thread::sleep(Duration::from_secs(2));
        echo(&payload)
    });
    for (timeout, codes, lost) in [("100ms", &[1][..], 1.0), ("25s", &[0, 98], 0.0)] {
        let run = ["run", &url, "-c", "1", "--messages", "1", "--warmup", "0s", "--format", "json"];
        let report = loadgen(&[&run[..], &["--drain-timeout", timeout]].concat()).json(codes);
        assert_eq!(report.number("/messages/lost"), lost, "{timeout}");
    }
}

#[test]
fn compression_goes_about_it_as_it_is_told() {
    let sent = |flags: &[&str]| {
        let load = ["-c", "1", "--messages", "50", "--payload", "json", "--size", "6000", "--permessage-deflate"];
        run(&[&load[..], flags].concat()).number("/wire/sent/payload_bytes")
    };
    let usual = sent(&[]);
    assert_eq!(sent(&["--deflate-level", "3", "--deflate-memory", "8", "--deflate-threshold", "0"]), usual);
    assert!(sent(&["--deflate-level", "9"]) < usual && usual < sent(&["--deflate-level", "1"]), "{usual}");
    assert!(sent(&["--deflate-memory", "1"]) > usual, "{usual}");
    assert_eq!(sent(&["--deflate-threshold", "6001"]), 300_000.0, "smaller ones go uncompressed");
    assert!(sent(&["--deflate-threshold", "6000"]) < 300_000.0);
}

#[test]
fn the_window_is_offered() {
    let recorder = Recorder::start();
    run(&[&recorder.url, "-c", "1", "--messages", "1", "--permessage-deflate=prefer", "--deflate-window-bits", "11"]);
    let seen = recorder.seen();
    let offered = seen[0].header("Sec-WebSocket-Extensions").concat();
    assert!(offered.contains("server_max_window_bits=11"), "{offered}");
}

#[test]
fn progress_is_drawn_on_a_terminal_unless_it_is_to_be_quiet() {
    let run = ["run", "-c", "2", "-d", "1s", "--warmup", "0s"];
    let compare = ["compare", "--aa", "-c", "2", "--max-time", "1s"];
    let sweep = ["sweep", "--vary-load", "in-flight=1,2", "-c", "2", "--max-time", "1s", "--force"];
    let held = ["connections", "-n", "2", "--hold", "1s"];
    let capacity = ["capacity", "--slo", "latency.p99<5ms", "-c", "2", "--max-time", "2s"];
    for (arguments, what) in [
        (&run[..], "measuring"),
        (&compare, "comparing"),
        (&sweep, "sweeping"),
        (&held, "measuring"),
        (&capacity, "searching"),
    ] {
        let screen = on_a_terminal(arguments);
        assert!(screen.contains(what), "{arguments:?}: {screen:?}");
    }
    for (arguments, quiet) in
        [(&run[..], "-q"), (&run, "--quiet"), (&compare, "-q"), (&sweep, "-q"), (&held, "-q"), (&capacity, "-q")]
    {
        assert_eq!(on_a_terminal(&[arguments, &[quiet]].concat()), "", "{arguments:?}");
    }
}

/// What the program writes to a terminal that is its stderr.
fn on_a_terminal(arguments: &[&str]) -> String {
    let size = nix::pty::Winsize { ws_row: 24, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
    let terminal = nix::pty::openpty(Some(&size), None).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadgen"));
    command.args(arguments).env("TERM", "xterm").stdin(Stdio::null()).stdout(Stdio::null()).stderr(terminal.slave);
    let mut child = command.spawn().unwrap();
    // It holds the program's end of the terminal until it is dropped.
    drop(command);
    let mut screen = Vec::new();
    // Once nobody holds that end, reading gives an error, where a pipe would give its end.
    let _ = fs::File::from(terminal.master).read_to_end(&mut screen);
    let status = child.wait().unwrap();
    // A busy machine may compare nothing in this time (1); what is drawn is the question.
    assert!(matches!(status.code(), Some(0 | 1 | 98)), "{arguments:?}: {status}");
    String::from_utf8(screen).unwrap()
}

/// The scheduling policies of a process's workers, as /proc has them: 1 is SCHED_FIFO.
fn policies(pid: i32) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let stats = tasks.filter_map(|task| fs::read_to_string(task.path().join("stat")).ok());
    let workers = stats.filter(|stat| stat.contains("(worker-"));
    workers.filter_map(|stat| Some(stat.rsplit_once(')')?.1.split_whitespace().nth(38)?.to_owned())).collect()
}

#[test]
fn workers_are_in_the_real_time_class_where_that_is_asked_for_and_permitted() {
    let server = EmbeddedServer::start(&[]);
    for realtime in [false, true] {
        let flags = ["run", &server.url, "--rate", "100", "-c", "2", "--warmup", "0s", "-d", "2s", "--format", "json"];
        let asked: &[&str] = if realtime { &["--realtime"] } else { &[] };
        let run = loadgen(&[&flags[..], asked].concat());
        let pid = run.pid().as_raw_nonzero().get();
        let mut seen = Vec::new();
        while seen.is_empty() && std::path::Path::new(&format!("/proc/{pid}/stat")).exists() {
            seen = policies(pid);
            thread::sleep(Duration::from_millis(300));
            seen.extend(policies(pid));
        }
        let finished = run.wait();
        if realtime && finished.code == Some(1) {
            let said = &finished.stderr;
            assert!(said.contains("--realtime: the kernel refuses") && said.contains("CAP_SYS_NICE"), "{said}");
            return;
        }
        let wanted = if realtime { "1" } else { "0" };
        assert!(seen.iter().any(|policy| policy == wanted), "{seen:?} {}", finished.stderr);
        assert!(realtime || !seen.iter().any(|policy| policy == "1"), "{seen:?}");
        let report: serde_json::Value = serde_json::from_str(&finished.stdout).unwrap();
        assert_eq!(report["environment"]["plan"]["realtime"], realtime);
    }
}
