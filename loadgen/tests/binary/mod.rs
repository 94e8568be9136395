//! Running the real binaries.
#![allow(dead_code, reason = "each test binary uses its own part of this")]

use std::io::{self, BufRead, BufReader, Read};
use std::net::{Shutdown, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use loadgen::report::comparison::Comparison;
use rustix::process::{Pid, Signal, kill_process};

/// Longer than anything here takes on a loaded machine, short enough for a test that hangs.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A running `loadgen`; killed when dropped.
pub struct Run(Option<Child>);

/// A finished one.
pub struct Finished {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Its report.
pub struct Json(pub serde_json::Value);

/// The embedded server as a process of its own; killed when dropped.
pub struct EmbeddedServer {
    child: Child,
    pub url: String,
}

/// Starts `loadgen` with these arguments.
pub fn loadgen(arguments: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadgen"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Run(Some(command.spawn().expect("loadgen starts")))
}

/// Passes on what either side sends to the other, until both have ended.
pub fn pass_both_ways(mut client: TcpStream, mut server: TcpStream) -> io::Result<()> {
    let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
    std::thread::spawn(move || {
        io::copy(&mut from, &mut to)?;
        to.shutdown(Shutdown::Write)
    });
    io::copy(&mut server, &mut client)?;
    client.shutdown(Shutdown::Write)
}

/// Waits until `condition` holds.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What `loadgen report` makes of a saved report in a format.
pub fn converted(path: &str, format: &str) -> Finished {
    loadgen(&["report", path, "--to", format]).wait()
}

/// Asserts that a saved report is read back in these formats, each with these words in it, and refused in hgrm; and that its
/// list for github-action-benchmark in this file has these words.
pub fn assert_formats(path: &str, formats: &[(&str, &str)], (list, listed): (&str, &str)) {
    for (format, words) in formats {
        let made = converted(path, format);
        assert_eq!(made.code, Some(0), "{format}: {}", made.stderr);
        assert!(made.stdout.contains(words), "{format}: {}", made.stdout);
    }
    let refused = converted(path, "hgrm");
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("hgrm is the distribution of one run"), "{}", refused.stderr);
    let directory = format!("{path}.lists");
    let lists = loadgen(&["report", path, "--to", "github-action-benchmark", "-o", &directory]).wait();
    assert_eq!(lists.code, Some(0), "{}", lists.stderr);
    let content = std::fs::read_to_string(format!("{directory}/{list}")).unwrap();
    assert!(content.contains(listed), "{content}");
    std::fs::remove_dir_all(&directory).unwrap();
}

impl Run {
    /// Its process.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.0.as_ref().expect("it has not been waited for").id() as i32).expect("a process id")
    }

    /// Closes the reading end of its stdout.
    pub fn close_stdout(&mut self) {
        drop(self.0.as_mut().and_then(|child| child.stdout.take()));
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("the process is there");
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Finished {
        let output = self.0.take().expect("it has not been waited for").wait_with_output().expect("loadgen ends");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Finished { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// Waits for its end with one of these exit codes; its JSON report.
    pub fn json(self, codes: &[i32]) -> Json {
        let finished = self.wait();
        let code = finished.code.expect("an exit code");
        assert!(codes.contains(&code), "exit code {code}\n{}\n{}", finished.stdout, finished.stderr);
        Json(serde_json::from_str(&finished.stdout).expect("a JSON report"))
    }
}

impl Json {
    /// The number at this JSON pointer.
    pub fn number(&self, pointer: &str) -> f64 {
        self.0.pointer(pointer).and_then(serde_json::Value::as_f64).unwrap_or_else(|| panic!("no number at {pointer}"))
    }

    /// The whole histogram of the statistics at this JSON pointer.
    pub fn histogram(&self, pointer: &str) -> Histogram<u64> {
        let text = self.0.pointer(&format!("{pointer}/histogram")).and_then(serde_json::Value::as_str);
        let bytes = BASE64.decode(text.expect("a histogram")).expect("base64");
        Deserializer::new().deserialize(&mut bytes.as_slice()).expect("a V2 histogram")
    }
}

/// The comparison that a run with this exit code has printed.
#[track_caller]
pub fn comparison(finished: &Finished, code: i32) -> Comparison {
    assert_eq!(finished.code, Some(code), "{}\n{}", finished.stdout, finished.stderr);
    serde_json::from_str(&finished.stdout).expect("a comparison")
}

/// The document is what the schema of comparisons says.
#[track_caller]
pub fn assert_valid(document: &serde_json::Value) {
    let schema = serde_json::from_str(include_str!("../../schema/compare-v1.schema.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> = validator.iter_errors(document).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

impl EmbeddedServer {
    /// Starts it with these flags of `echo-server`, on a free port.
    pub fn start(flags: &[&str]) -> Self {
        Self::start_at("127.0.0.1:0", flags)
    }

    /// Starts it there with these flags of `echo-server`.
    pub fn start_at(address: &str, flags: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_loadgen"));
        command.args(["embedded-server", "--listen", address]).args(flags);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the server starts");
        let mut lines = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let mut line = String::new();
        lines.read_line(&mut line).expect("the ready line");
        let url = line.trim().strip_prefix("listening on ").unwrap_or_else(|| panic!("not ready: {line}")).to_owned();
        std::thread::spawn(move || lines.read_to_end(&mut Vec::new()));
        Self { child, url }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id() as i32).expect("a process id");
        kill_process(pid, signal).expect("the server is there");
    }

    /// Waits until it has `more` open sockets than `before`.
    pub fn wait_for_sockets(&self, before: usize, more: usize) {
        wait_until("the connections are there", || self.sockets() >= before + more);
    }

    /// Its open sockets.
    pub fn sockets(&self) -> usize {
        let files = std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("its open files");
        let is_socket = |file: &std::io::Result<std::fs::DirEntry>| {
            let target = file.as_ref().ok().and_then(|file| std::fs::read_link(file.path()).ok());
            target.is_some_and(|target| target.to_string_lossy().starts_with("socket:"))
        };
        files.filter(is_socket).count()
    }

    /// How long its threads have been on a core so far, and how long they have waited for one that others used.
    pub fn cores(&self) -> (Duration, Duration) {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("its threads");
        let times = tasks.filter_map(|task| {
            // Nanoseconds on a core, nanoseconds waiting for one, and how often (Documentation/scheduler/sched-stats.rst).
            // A thread may have ended meanwhile.
            let stat = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            let mut fields = stat.split_whitespace().map(|field| field.parse().expect("a number"));
            Some([fields.next(), fields.next()].map(|ns| Duration::from_nanos(ns.expect("three numbers"))))
        });
        times.fold(Default::default(), |(used, waited), [uses, waits]| (used + uses, waited + waits))
    }

    /// Stops it as SIGSTOP does, and waits until every thread has: the signal takes effect late.
    pub fn stop(&self) {
        self.signal(Signal::STOP);
        let tasks = format!("/proc/{}/task", self.child.id());
        let stopped = |task: std::io::Result<std::fs::DirEntry>| {
            // The state follows the name, which is in parentheses.
            let stat = std::fs::read_to_string(task.expect("a thread").path().join("stat")).expect("its state");
            stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
        };
        wait_until("all threads stop", || std::fs::read_dir(&tasks).expect("its threads").all(stopped));
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for EmbeddedServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
