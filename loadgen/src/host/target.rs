//! What is measured: a server that runs already, the embedded one, or one that a command starts. A started server is
//! waited for, runs on its own share of the cores, and is stopped again, with all that it started, when it goes out of
//! scope.

mod embedded;
mod process;
mod spec;

use std::env;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::host::cores::Cores;
use crate::host::listening;
use crate::plan::url::{Scheme, Url};

pub use embedded::own_program;
use process::Process;
pub(in crate::host) use process::no_thread;
pub use spec::Spec;
use spec::{PORT, at_port, shown, told};

/// A server that answers, and that is stopped when dropped if it was started here.
#[derive(Debug)]
pub struct Server {
    url: Url,
    process: Option<Process>,
}

/// Why there is no server to measure.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The command could not be started.
    #[error("cannot start '{command}'{}", shell_hint(command, source))]
    Start {
        /// The command.
        command: String,
        /// The cause.
        source: io::Error,
    },
    /// It ended before it was ready.
    #[error("'{command}' ended before it was ready: {status}")]
    Ended {
        /// The command.
        command: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// It was never ready.
    #[error(
        "'{command}' was not ready within {READY_TIMEOUT:?}: no line 'listening on ws://…' (or wss://, tcp://, udp://) on its stdout, no listener on port {port}{}",
        elsewhere(listens)
    )]
    NotReady {
        /// The command.
        command: String,
        /// The port it was given.
        port: u16,
        /// Where it listens instead.
        listens: Vec<SocketAddr>,
    },
    /// No free port.
    #[error("no free port on 127.0.0.1")]
    NoPort(#[source] io::Error),
    /// The user did not want to wait for it.
    #[error("interrupted before '{command}' was ready")]
    Interrupted {
        /// The command.
        command: String,
    },
}

impl Server {
    /// Makes the server ready: starts it where it has to be started, on `cores`, and waits for it unless `interrupted`
    /// is set meanwhile.
    ///
    /// # Errors
    /// When it cannot be started, ends, or is not ready in time.
    pub fn start(spec: &Spec, cores: &Cores, interrupted: &AtomicBool) -> Result<Self, TargetError> {
        let mut own_url = None;
        let (command, words, port) = match spec {
            Spec::Url(url) => return Ok(Self { url: url.clone(), process: None }),
            Spec::Embedded(flags) => {
                let mut command = Command::new(own_program());
                command.arg(EMBEDDED_SUBCOMMAND).args(embedded::listen_flags(flags)).args(flags);
                if env::var_os("RUST_LOG").is_none() {
                    // Its coming and going is no news to whoever asked for a measurement.
                    command.env("RUST_LOG", "warn");
                }
                (command, format!("echo-server {}", shell_words::join(flags)), None)
            }
            Spec::Command(words) => {
                let port = free_port().map_err(TargetError::NoPort)?;
                let (url, words) = told(words);
                own_url = url.map(|url| at_port(url, port).expect("it was one when it was read"));
                let words: Vec<String> = words.iter().map(|word| word.replace(PORT, &port.to_string())).collect();
                let mut command = Command::new(&words[0]);
                command.args(&words[1..]);
                (command, shown(&words), Some(port))
            }
        };
        let (process, ready) =
            Process::start(command, cores).map_err(|source| TargetError::Start { command: words.clone(), source })?;
        let datagrams = own_url.as_ref().is_some_and(|url| url.scheme() == Scheme::Udp);
        let place = port.map(|port| (SocketAddr::from((Ipv4Addr::LOCALHOST, port)), datagrams));
        let mut server = wait_until_ready(process, &words, place, &ready, interrupted)?;
        // Whoever says where it is knows better than the port alone.
        server.url = own_url.unwrap_or(server.url);
        Ok(server)
    }

    /// Where it listens.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Its process id, if it was started here.
    pub fn pid(&self) -> Option<i32> {
        self.process.as_ref().and_then(Process::pid).map(|pid| pid.as_raw_nonzero().get())
    }

    /// How its process ended, if it was started here and has ended by itself, or does within `patience`: the kernel closes
    /// a process's connections a little before it says how it ended.
    pub fn ended(&self, patience: Duration) -> Option<ExitStatus> {
        let process = self.process.as_ref()?;
        let deadline = Instant::now() + patience;
        loop {
            let status = process.ended();
            if status.is_some() || Instant::now() >= deadline {
                return status;
            }
            thread::sleep(READY_POLL);
        }
    }
}

/// Waits until a started server says that it is ready, or takes connections at its `place`, or datagrams where that says so.
fn wait_until_ready(
    mut process: Process,
    command: &str,
    place: Option<(SocketAddr, bool)>,
    ready: &mpsc::Receiver<Url>,
    interrupted: &AtomicBool,
) -> Result<Server, TargetError> {
    let began = Instant::now();
    loop {
        if let Ok(url) = ready.recv_timeout(READY_POLL) {
            return Ok(Server { url, process: Some(process) });
        }
        if let Ok(Some(status)) = process.child.try_wait() {
            return Err(TargetError::Ended { command: command.to_owned(), status });
        }
        let ready_at = |&(address, datagrams): &(SocketAddr, bool)| match datagrams {
            true => !listening::sockets(address, true).is_empty(),
            false => takes_connections(address, began.elapsed()),
        };
        if let Some((address, _)) = place.filter(ready_at) {
            let url = line_of_listening(ready, &process).unwrap_or_else(|| Url::at(address));
            return Ok(Server { url, process: Some(process) });
        }
        if interrupted.load(Ordering::Relaxed) {
            return Err(TargetError::Interrupted { command: command.to_owned() });
        }
        if began.elapsed() > READY_TIMEOUT {
            let listens = listening::addresses_of_group(process.group.as_raw_nonzero().get());
            let port = place.map_or(0, |(address, _)| address.port());
            return Err(TargetError::NotReady { command: command.to_owned(), port, listens });
        }
        // A closed stdout answers at once.
        thread::sleep(READY_POLL);
    }
}

/// What a server says that listens already. It may say so once it does: on a busy machine that is when it is given the
/// processor, and until then it has not come to wait for anything.
fn line_of_listening(ready: &mpsc::Receiver<Url>, process: &Process) -> Option<Url> {
    let began = Instant::now();
    loop {
        match ready.recv_timeout(LINE_PATIENCE) {
            Ok(url) => return Some(url),
            Err(_) if process.runs() && began.elapsed() < MOST_LINE_PATIENCE => thread::sleep(READY_POLL),
            Err(_) => return None,
        }
    }
}

/// Whether the port of a server that was started so long ago takes connections. It is connected to only where no listener
/// has been seen for long, as in a container's network: many servers log a connection that is closed without a request.
fn takes_connections(address: SocketAddr, after: Duration) -> bool {
    listening::is_listened_on(address)
        || after > UNSEEN_PATIENCE && TcpStream::connect_timeout(&address, READY_POLL).is_ok()
}

/// Where a server listens that should listen elsewhere, and what is to be done about it.
fn elsewhere(listens: &[SocketAddr]) -> String {
    let places: Vec<String> = listens.iter().map(|place| format!("port {} of {}", place.port(), place.ip())).collect();
    match places.is_empty() {
        true => String::new(),
        false => format!(
            "; it listens on {}: expected it to listen on the port that {{port}} stands for",
            places.join(" and on ")
        ),
    }
}

/// Commands are started without a shell, which is not what everybody expects.
fn shell_hint(command: &str, error: &io::Error) -> &'static str {
    let is_for_a_shell = command.split(['\'', ' ']).any(|word| {
        matches!(word, "&&" | "||" | "|" | ";" | ">" | "<" | "cd" | "exec")
            || word.split_once('=').is_some_and(|(name, _)| !name.is_empty() && !name.starts_with('-'))
    });
    if error.kind() == io::ErrorKind::NotFound && is_for_a_shell {
        "; there is no shell: write env NAME=VALUE before the command, or sh -c '...' around it"
    } else {
        ""
    }
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// The hidden subcommand of loadgen that is the embedded server.
pub const EMBEDDED_SUBCOMMAND: &str = "embedded-server";

/// The name by which the embedded server speaks of itself.
pub const EMBEDDED_PROGRAM: &str = "echo-server";

/// How long a server may take to be ready: room for a runtime that compiles itself first.
const READY_TIMEOUT: Duration = Duration::from_secs(20);

/// How often readiness is looked for.
const READY_POLL: Duration = Duration::from_millis(10);

/// How long the line of a server that listens is waited for: it is written right after, and most servers write none.
const LINE_PATIENCE: Duration = Duration::from_millis(20);

/// The same of one that is still running or waits for the processor.
const MOST_LINE_PATIENCE: Duration = Duration::from_secs(1);

/// How long a started server may not be seen to listen before it is connected to: longer than most take to start.
const UNSEEN_PATIENCE: Duration = Duration::from_secs(3);

/// How long a server that has closed all its connections is given to end, so that a report can say how it did.
pub const END_TIMEOUT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use rustix::process::Pid;
    use socket2::{Domain, Socket, Type};

    use super::*;

    #[test]
    fn a_command_that_fails_is_told_apart() {
        let start = |spec: &str| {
            let started = Server::start(&spec.parse().unwrap(), &Cores::allowed(), &AtomicBool::new(false));
            started.unwrap_err().to_string()
        };
        assert!(start("/no/such/program {port}").contains("cannot start '/no/such/program"));
        assert!(start("sh -c 'exit 3' {port}").contains("exit status: 3"));
    }

    #[test]
    fn a_command_for_a_shell_is_told_that_there_is_none() {
        let start = |spec: &str| {
            let started = Server::start(&spec.parse().unwrap(), &Cores::allowed(), &AtomicBool::new(false));
            started.map(drop).unwrap_err().to_string()
        };
        assert!(start("PORT={port} node echo.js").contains("write env NAME=VALUE before the command"));
        assert!(start("cd-or-not /tmp && node echo.js {port}").contains("sh -c"));
        assert!(!start("no-such-program --port={port}").contains("shell"));
    }

    #[test]
    fn how_a_server_ended_is_known() {
        for (command, expected) in [("exit 3", "exit status: 3"), ("kill -9 $$", "signal: 9 (SIGKILL)")] {
            let spec = format!("sh -c 'echo listening on ws://127.0.0.1:$1/; sleep 0.1; {command}' - {{port}}");
            let server = Server::start(&spec.parse().unwrap(), &Cores::allowed(), &AtomicBool::new(false)).unwrap();
            // Asked twice, since the first answer must not be the last.
            for _ in 0..2 {
                let status = server.ended(Duration::from_secs(30)).expect("it ends");
                assert_eq!(status.to_string(), expected);
            }
        }
    }

    #[test]
    fn a_server_that_listens_elsewhere_is_told_where() {
        let error = |listens: &[&str]| {
            let listens = listens.iter().map(|place| place.parse().unwrap()).collect();
            TargetError::NotReady { command: "node echo.js 4711".to_owned(), port: 4711, listens }.to_string()
        };
        let found = error(&["0.0.0.0:8080", "[::1]:9090"]);
        assert!(found.contains("port 4711; it listens on port 8080 of 0.0.0.0 and on port 9090 of ::1: ex"), "{found}");
        assert!(found.ends_with("that {port} stands for"), "{found}");
        assert!(error(&[]).ends_with("no listener on port 4711"));
    }

    #[test]
    fn a_server_of_datagrams_is_ready_once_its_socket_is_bound() {
        let spec = "udp://127.0.0.1:{port} socat UDP4-LISTEN:{port},bind=127.0.0.1,fork PIPE";
        let started = Server::start(&spec.parse().unwrap(), &Cores::allowed(), &AtomicBool::new(false));
        match started {
            Ok(server) => assert_eq!(server.url().scheme(), Scheme::Udp),
            // Only where there is no socat.
            Err(error) => assert!(matches!(error, TargetError::Start { .. }), "{error}"),
        }
    }

    #[test]
    fn a_listener_is_seen_without_a_connection_to_it() {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        assert!(!takes_connections(address, Duration::ZERO));
        assert!(!takes_connections(address, UNSEEN_PATIENCE * 2));
        socket.listen(1).unwrap();
        assert!(takes_connections(address, Duration::ZERO));
        socket.set_nonblocking(true).unwrap();
        assert_eq!(socket.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_command_is_ready_by_its_line_or_by_its_port_and_is_stopped_again() {
        let line = Server::start(
            &"sh -c 'echo listening on ws://127.0.0.1:$1/x; exec sleep 60' - {port}".parse().unwrap(),
            &Cores::allowed(),
            &AtomicBool::new(false),
        );
        let line = line.unwrap();
        assert_eq!(line.url().path(), "/x");
        let pid = Pid::from_raw(line.pid().unwrap()).unwrap();
        assert_eq!(line.ended(Duration::ZERO), None);
        drop(line);
        assert!(rustix::process::test_kill_process(pid).is_err(), "the process is gone");
    }
}
