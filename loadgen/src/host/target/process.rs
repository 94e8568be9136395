//! A server's process: started, waited for until it is ready, and ended with all that it started.

use std::io::{self, BufRead as _, BufReader, IsTerminal as _, Read, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use crate::host::cores::Cores;
use crate::host::leftovers;
use crate::plan::url::Url;

#[derive(Debug)]
pub(super) struct Process {
    pub(super) child: Child,
    pub(super) group: Pid,
    /// Closed once all that it said on stderr has been passed on; `None` where it has the terminal itself.
    pub(super) said: Option<mpsc::Receiver<()>>,
}

impl Process {
    /// Starts the command. The receiver gets the URL of its ready line.
    pub(super) fn start(mut command: Command, cores: &Cores) -> io::Result<(Self, mpsc::Receiver<Url>)> {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        if !io::stderr().is_terminal() {
            // Whoever reads this process's stderr may stop reading, which must not end the server.
            command.stderr(Stdio::piped());
        }
        let (mut child, group) = cores.during(|| leftovers::spawn(&mut command))?;
        let (stdout, stderr) = (child.stdout.take().expect("stdout is piped"), child.stderr.take());
        // From here on it is ended where something fails.
        let mut process = Self { child, group, said: None };
        let (found, ready) = mpsc::channel();
        // Read to its end, so that a talkative server never blocks on a full pipe; the thread ends with the server.
        reader("stdout", move || {
            for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line);
                if let Some(url) = line.trim().strip_prefix(READY_PREFIX).and_then(|url| url.parse().ok()) {
                    // Only the first one is waited for.
                    let _ = found.send(url);
                }
            }
        })?;
        if let Some(stderr) = stderr {
            let (open, closed) = mpsc::channel();
            reader("stderr", move || pass_on(stderr, open))?;
            process.said = Some(closed);
        }
        Ok((process, ready))
    }

    pub(super) fn pid(&self) -> Option<Pid> {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
    }

    /// Whether it runs or waits for the processor, and for nothing else.
    pub(super) fn runs(&self) -> bool {
        let stat =
            i32::try_from(self.child.id()).ok().and_then(|pid| procfs::process::Process::new(pid).ok()?.stat().ok());
        stat.is_some_and(|stat| stat.state == 'R')
    }

    /// How it ended, without taking that from whoever waits for it later.
    pub(super) fn ended(&self) -> Option<ExitStatus> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let status = waitid(WaitId::Pid(self.pid()?), options).ok()??;
        // As wait(2) gives them: the exit code in the second byte, or else the signal in the first.
        let raw = status.exit_status().map(|code| code << 8).or(status.terminating_signal())?;
        Some(ExitStatus::from_raw(raw))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The group, since a command may be a shell that waits for the server, or that has ended and left it running.
        leftovers::end(self.group, STOP_TIMEOUT);
        if let Some(said) = self.said.take() {
            // Its last words come before an error that speaks of it. What has left the group may keep stderr open.
            let _ = said.recv_timeout(LAST_WORDS);
        }
    }
}

/// Starts a thread that reads what a server says.
fn reader(of: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(format!("server-{of}")).spawn(body).map(drop).map_err(no_thread)
}

/// What the kernel says of a thread that it does not start is nothing that a user could act on.
pub(in crate::host) fn no_thread(error: io::Error) -> io::Error {
    io::Error::new(
        error.kind(),
        format!("no thread can be started ({error}): see ulimit -u, and the limit of processes of a container"),
    )
}

/// Passes on what a server says on its stderr, and goes on reading where nobody takes it; drops `_open` at the end.
fn pass_on(mut said: impl Read, _open: mpsc::Sender<()>) {
    let mut buffer = [0; 4096];
    loop {
        match said.read(&mut buffer) {
            Ok(0) => return,
            Ok(read) => drop(io::stderr().write_all(&buffer[..read])),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// How a server says that it is ready.
const READY_PREFIX: &str = "listening on ";

/// How long the last lines of a server's stderr are waited for once it has ended.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// How long a server may take to stop before it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
