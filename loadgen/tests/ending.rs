//! Programs that are ended: what becomes of the report, and that no server is left behind.

mod binary;

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use binary::{EmbeddedServer, PATIENCE, Run, loadgen, wait_until};
use rustix::process::{Pid, Signal, getpgid, test_kill_process};
use sha1::{Digest, Sha1};

const LOADGEN: &str = env!("CARGO_BIN_EXE_loadgen");

/// A command with `{port}` that starts a server behind a shell, and the file that it writes the server's process id to.
struct Servers {
    command: String,
    pids: PathBuf,
}

impl Servers {
    fn new(name: &str) -> Self {
        let pids = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{name}", std::process::id()));
        let script = format!("{LOADGEN} embedded-server --listen 127.0.0.1:$1 & echo $! >> {}; wait", pids.display());
        Self { command: format!("sh -c '{script}' - {{port}}"), pids }
    }

    fn pids(&self) -> Vec<Pid> {
        let text = fs::read_to_string(&self.pids).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| Pid::from_raw(line.parse().unwrap()).unwrap()).collect()
    }

    fn wait_for(&self, count: usize) {
        wait_until("the servers start", || self.pids().len() >= count);
    }

    fn wait_for_their_end(&self) {
        wait_until("the servers end", || self.pids().iter().all(|pid| test_kill_process(*pid).is_err()));
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.pids);
    }
}

/// How each command measures servers that `command` starts, for longer than any test.
fn commands(command: &str) -> [Vec<&str>; 3] {
    [
        vec!["run", "--server", command, "-c", "60", "--warmup", "0s", "-d", "600s", "--format", "json"],
        vec!["compare", "--a", command, "-c", "60", "--warmup", "0s", "--max-time", "600s", "--aa", "--format", "json"],
        vec![
            "sweep",
            "--server",
            command,
            "-c",
            "60",
            "--warmup",
            "0s",
            "--max-time",
            "600s",
            "--vary-load",
            "in-flight=1,2",
            "--format",
            "json",
        ],
    ]
}

/// Starts loadgen, and waits until it has measured for a while.
fn measuring(arguments: &[&str], servers: &Servers) -> Run {
    let run = loadgen(arguments);
    let connected = |pid: &Pid| {
        let descriptors = fs::read_dir(format!("/proc/{}/fd", pid.as_raw_nonzero()));
        descriptors.is_ok_and(|descriptors| descriptors.count() > 60)
    };
    let wanted = if arguments[0] == "run" { 1 } else { 2 };
    wait_until("the connections are open", || servers.pids().iter().filter(|pid| connected(pid)).count() >= wanted);
    thread::sleep(Duration::from_secs(2));
    run
}

#[test]
fn every_signal_that_ends_leaves_a_report_and_no_server() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT] {
        let servers = Servers::new("signals");
        let run = measuring(&commands(&servers.command)[0], &servers);
        run.signal(signal);
        let report = run.json(&[130]);
        assert_eq!(report.0["interrupted"], true, "{signal:?}");
        assert!(report.number("/messages/verified") > 0.0, "{signal:?}");
        servers.wait_for_their_end();
    }
}

#[test]
fn a_closed_terminal_ends_a_comparison_and_a_sweep_like_ctrl_c() {
    for command in 1..3 {
        let servers = Servers::new("hangup");
        let run = measuring(&commands(&servers.command)[command], &servers);
        run.signal(Signal::HUP);
        let report = run.json(&[130]);
        assert_eq!(report.0["ended"], "interrupted");
        servers.wait_for_their_end();
    }
}

#[test]
fn a_loadgen_that_is_killed_leaves_no_server_not_even_behind_a_shell() {
    for command in 0..3 {
        let servers = Servers::new("killed");
        let run = loadgen(&commands(&servers.command)[command]);
        servers.wait_for(if command == 0 { 1 } else { 2 });
        run.signal(Signal::KILL);
        servers.wait_for_their_end();
    }
}

#[test]
fn a_loadgen_that_is_killed_leaves_no_server_in_a_process_group_that_it_does_not_know() {
    let mut servers = Servers::new("regrouped");
    // timeout(1) makes a process group of its own, as a loadgen that is killed while it starts a server leaves one.
    servers.command = servers.command.replace(LOADGEN, &format!("timeout 600 {LOADGEN}"));
    let run = loadgen(&commands(&servers.command)[0]);
    servers.wait_for(1);
    let group = || getpgid(servers.pids().first().copied());
    wait_until("timeout has left its group", || group().is_ok_and(|group| servers.pids().contains(&group)));
    run.signal(Signal::KILL);
    servers.wait_for_their_end();
}

#[test]
fn a_hangup_that_was_ignored_stays_ignored() {
    let server = EmbeddedServer::start(&[]);
    let script = format!("trap '' HUP; exec {LOADGEN} run {} -c 2 -d 2s --warmup 0s -q", server.url);
    let mut run = Command::new("sh").args(["-c", &script]).stdout(Stdio::null()).spawn().unwrap();
    let name = format!("/proc/{}/comm", run.id());
    wait_until("the shell becomes loadgen", || fs::read_to_string(&name).unwrap() == "loadgen\n");
    thread::sleep(Duration::from_secs(1));
    rustix::process::kill_process(Pid::from_child(&run), Signal::HUP).unwrap();
    let code = run.wait().unwrap().code();
    assert!(matches!(code, Some(0 | 98)), "it measured to its end: {code:?}");
}

#[test]
fn a_second_signal_ends_what_does_not_listen_to_the_first() {
    let pids = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-deaf", std::process::id()));
    let deaf = format!("sh -c \"trap '' TERM; echo $$ >> {}; while :; do sleep 1; done\" {{port}}", pids.display());
    let deaf = deaf.replace("$$", "\\$\\$");
    let servers = Servers { command: deaf, pids };
    let run = loadgen(&["run", "--server", &servers.command]);
    servers.wait_for(1);
    run.signal(Signal::HUP);
    // It waits for the server's end by now, which it would do for 5 s.
    thread::sleep(Duration::from_millis(300));
    run.signal(Signal::TERM);
    let finished = run.wait();
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(130), ""), "it said no more");
    servers.wait_for_their_end();
}

#[test]
fn whoever_interrupts_does_not_wait_for_the_whole_drain() {
    let (came, messages) = mpsc::channel();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, came) = (stream.unwrap(), came.clone());
            thread::spawn(move || -> io::Result<()> {
                let mut lines = BufReader::new(stream.try_clone()?);
                let (mut line, mut accept) = (String::new(), None);
                while lines.read_line(&mut line)? > 2 {
                    let header = line.split_once(':');
                    if let Some((_, key)) = header.filter(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key")) {
                        accept = Some(Sha1::digest(format!("{}258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key.trim())));
                    }
                    line.clear();
                }
                let Some(accept) = accept.map(|digest| BASE64.encode(digest)) else { return Ok(()) };
                let answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
                write!(stream, "{answer}Sec-WebSocket-Accept: {accept}\r\n\r\n")?;
                lines.read_exact(&mut [0])?;
                let _ = came.send(());
                // Never an echo; the connection ends with loadgen.
                io::copy(&mut lines, &mut io::sink()).map(drop)
            });
        }
    });
    for end in [["-d", "200ms"], ["--messages", "2"]] {
        let flags = ["run", &url, "-c", "2", "--warmup", "0s", "--drain-timeout", "600s", "--format", "json"];
        let run = loadgen(&[&flags[..], &end].concat());
        (0..2).for_each(|_| messages.recv_timeout(PATIENCE).expect("a message on each connection"));
        thread::sleep(Duration::from_secs(1));
        run.signal(Signal::INT);
        let interrupted = Instant::now();
        let report = run.json(&[130]);
        assert!(interrupted.elapsed() < Duration::from_secs(20), "{end:?}: {:?}", interrupted.elapsed());
        assert_eq!(report.number("/messages/lost"), 2.0, "{end:?}");
    }
}

#[test]
fn a_server_may_say_what_nobody_reads() {
    let chatty = "while :; do echo said >&2 || exit 1; sleep 0.01; done";
    let script = format!("({chatty}; kill -9 $$) & exec {LOADGEN} embedded-server --listen 127.0.0.1:$1");
    let server = format!("sh -c '{script}' - {{port}}");
    let mut command = Command::new(LOADGEN);
    command.args(["run", "--server", &server, "-c", "2", "--warmup", "0s", "-d", "2s", "-q"]);
    let mut run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).spawn().unwrap();
    let mut said = [0; 5];
    run.stderr.take().unwrap().read_exact(&mut said).unwrap();
    assert_eq!(&said, b"said\n", "it is passed on, as long as somebody reads");
    let output = run.wait_with_output().unwrap();
    assert!(matches!(output.status.code(), Some(0 | 98)), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("errors      none"), "{output:?}");
}

#[test]
fn an_end_in_the_warm_up_leaves_an_earlier_report_as_it_was() {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-earlier.json", std::process::id()));
    fs::write(&file, "earlier").unwrap();
    let server = EmbeddedServer::start(&[]);
    let before = server.sockets();
    let run = loadgen(&["run", &server.url, "-c", "20", "--warmup", "600s", "-o", file.to_str().unwrap()]);
    server.wait_for_sockets(before, 20);
    run.signal(Signal::INT);
    let finished = run.wait();
    assert_eq!(finished.code, Some(130));
    assert!(finished.stderr.contains("interrupted before anything was measured"), "{}", finished.stderr);
    assert_eq!(fs::read_to_string(&file).unwrap(), "earlier");
    fs::remove_file(file).unwrap();
}
