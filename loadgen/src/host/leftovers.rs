//! What must not outlive this process when it ends at once: the process groups of the servers that it started, and files
//! that are half written. A second signal disposes of both. A SIGKILL is seen by nobody here: for that a guard, a process of
//! its own, is told of the groups through a pipe, and ends them when the pipe closes. A server that was just being started then
//! was not told of; hence all of them have a mark in their environment, and the guard looks for processes that have it.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, BufRead, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use procfs::process::{Process, all_processes};
use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, getpid, kill_process_group, set_child_subreaper, test_kill_process_group,
    waitid,
};

/// Signals are a process's, and so is this.
static LEFTOVERS: Mutex<Leftovers> =
    Mutex::new(Leftovers { groups: Vec::new(), files: Vec::new(), program: None, guard: None, mark: None });

struct Leftovers {
    groups: Vec<Pid>,
    files: Vec<PathBuf>,
    /// The program that is a guard when it is given [`GUARD_SUBCOMMAND`].
    program: Option<PathBuf>,
    guard: Option<Child>,
    /// What [`MARK`] is in the environment of the guard, and of the servers that it guards.
    mark: Option<OsString>,
}

/// Names the program to start a guard from, once there is something to guard.
pub fn guard_with(program: PathBuf) {
    leftovers().program = Some(program);
}

/// Starts `command` in a process group of its own, so that a Ctrl-C meant for this process does not stop it; it is a
/// leftover until [`end`] has ended it.
///
/// # Errors
/// When it cannot be started.
pub fn spawn(command: &mut Command) -> io::Result<(Child, Pid)> {
    // A server whose shell has ended is reaped here then; where the kernel refuses, by whoever gets it.
    let _ = set_child_subreaper(Some(getpid()));
    let mut leftovers = leftovers();
    // Held over the start, lest a second signal come between that and the list.
    leftovers.start_guard();
    if let Some(mark) = &leftovers.mark {
        command.env(MARK, mark);
    }
    let child = command.process_group(0).spawn()?;
    let group = Pid::from_child(&child);
    leftovers.groups.push(group);
    leftovers.tell_guard('+', group);
    Ok((child, group))
}

/// Ends all processes of a group that [`spawn`] returned, whether its first one lives or not: politely, and by SIGKILL
/// after `patience`.
pub fn end(group: Pid, patience: Duration) {
    end_all(&[group], patience);
    let mut leftovers = leftovers();
    leftovers.groups.retain(|listed| *listed != group);
    leftovers.tell_guard('-', group);
}

/// The program is about to end in the usual way: once all groups have been ended, there is nothing to guard.
pub fn settled() {
    let mut leftovers = leftovers();
    if leftovers.groups.is_empty() {
        leftovers.dismiss_guard();
    }
}

/// Has the file `path` removed if the program ends before [`finished`].
pub fn unfinished(path: &Path) {
    leftovers().files.push(path.to_owned());
}

/// The file `path` is whole, or gone.
pub fn finished(path: &Path) {
    leftovers().files.retain(|listed| listed != path);
}

/// Removes the unfinished files and ends the groups. Whoever would change the list from now on waits for the end of the
/// process.
pub fn dispose() {
    let mut leftovers = leftovers();
    for file in &leftovers.files {
        // It may just have been renamed to what it was to be.
        let _ = fs::remove_file(file);
    }
    end_all(&leftovers.groups, HASTE);
    leftovers.dismiss_guard();
    std::mem::forget(leftovers);
}

/// The guard's life: it reads which groups there are, and ends those that are left when nobody writes any more.
pub fn guard(told: impl BufRead) -> ExitCode {
    end_left(told, env::var_os(MARK).as_deref());
    ExitCode::SUCCESS
}

/// Ends the groups that are left of those it is told of, and those of processes that have `mark`.
fn end_left(told: impl BufRead, mark: Option<&OsStr>) {
    let mut groups: Vec<Pid> = Vec::new();
    for line in told.lines().map_while(Result::ok) {
        let Some(group) = line.get(1..).and_then(|id| id.parse().ok()).and_then(Pid::from_raw) else { continue };
        groups.retain(|listed| *listed != group);
        if line.starts_with('+') {
            groups.push(group);
        }
    }
    // A server that was being started holds the pipe open until it is a program of its own, with its own environment: by now
    // all have the mark.
    let mut new = marked(mark);
    loop {
        new.retain(|group| !groups.contains(group));
        groups.append(&mut new);
        end_all(&groups, PATIENCE);
        // The kernel closes the pipe a moment before it shows the new environment.
        thread::sleep(POLL);
        new = marked(mark);
        if new.iter().all(|group| groups.contains(group)) {
            return;
        }
    }
}

/// The process groups of this session that have a process with this mark. A server that made itself a daemon, in a session of
/// its own, is left alone, as it is when a run ends in the usual way.
fn marked(mark: Option<&OsStr>) -> Vec<Pid> {
    let (Some(mark), Ok(own), Ok(processes)) = (mark, Process::myself().and_then(|own| own.stat()), all_processes())
    else {
        return Vec::new();
    };
    let group = |process: Process| {
        // Another user's cannot be read, and need not be: this one did not start them.
        let has_mark = process.environ().ok()?.get(OsStr::new(MARK)).is_some_and(|found| found == mark);
        let stat = process.stat().ok().filter(|stat| has_mark && stat.session == own.session)?;
        Pid::from_raw(stat.pgrp).filter(|_| stat.pgrp != own.pgrp)
    };
    processes.flatten().filter_map(group).collect()
}

fn leftovers() -> MutexGuard<'static, Leftovers> {
    LEFTOVERS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Leftovers {
    /// Starts the guard where there is none. Without one, only SIGKILL leaves servers behind.
    fn start_guard(&mut self) {
        let (None, Some(program)) = (&self.guard, &self.program) else { return };
        let mark = OsString::from(format!("{:016x}", rand::random::<u64>()));
        let mut command = Command::new(program);
        command.env(MARK, &mark);
        command.arg(GUARD_SUBCOMMAND).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // In a group of its own: what is sent to this one must not reach it.
        self.guard = command.process_group(0).spawn().ok();
        self.mark = Some(mark);
    }

    /// Ends the guard, lest it be a zombie where nobody reaps what is orphaned.
    fn dismiss_guard(&mut self) {
        if let Some(mut guard) = self.guard.take() {
            // It may have been killed already.
            let _ = guard.kill().and_then(|()| guard.wait());
        }
    }

    fn tell_guard(&mut self, sign: char, group: Pid) {
        if let Some(pipe) = self.guard.as_mut().and_then(|guard| guard.stdin.as_mut()) {
            // It may have been killed itself.
            let _ = pipe.write_all(format!("{sign}{}\n", group.as_raw_nonzero()).as_bytes());
        }
    }
}

fn end_all(groups: &[Pid], patience: Duration) {
    let signal = |signal: Signal| {
        for group in groups {
            // It may be gone already, which is as good.
            let _ = kill_process_group(*group, signal);
        }
    };
    signal(Signal::TERM);
    // A process that was stopped must be continued before it can end.
    signal(Signal::CONT);
    let deadline = Instant::now() + patience;
    while !groups.iter().all(|group| is_gone(*group)) {
        if Instant::now() > deadline {
            signal(Signal::KILL);
            // Whoever cannot be killed at once (it waits for a disk) is not waited for.
            let deadline = Instant::now() + HASTE;
            while Instant::now() < deadline && !groups.iter().all(|group| is_gone(*group)) {
                thread::sleep(POLL);
            }
            return;
        }
        thread::sleep(POLL);
    }
}

/// Whether nothing is left of a group; what has ended of it is reaped.
fn is_gone(group: Pid) -> bool {
    loop {
        match waitid(WaitId::Pgid(Some(group)), WaitIdOptions::EXITED | WaitIdOptions::NOHANG) {
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) => return false,
            // No child of this process is in it any more.
            Err(_) => return test_kill_process_group(group) == Err(Errno::SRCH),
        }
    }
}

/// The hidden subcommand of loadgen that is the guard.
pub const GUARD_SUBCOMMAND: &str = "guard-of-servers";

/// The environment variable of the guard and of the servers that it guards, and so of all that they start.
const MARK: &str = "FATHOM_LOADGEN_GUARD";

/// How long what is ended on a second signal may take before it is killed: whoever sends two does not want to wait.
const HASTE: Duration = Duration::from_secs(1);

/// How long what a killed loadgen has left may take: as long as a server that is stopped in the usual way.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often the end of processes is looked for.
const POLL: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    /// Starts a shell command whose stdout is read to its end; returns its group and its first line.
    fn started(script: &str) -> (Child, Pid, String) {
        started_by(Command::new("sh").args(["-c", script]))
    }

    fn started_by(command: &mut Command) -> (Child, Pid, String) {
        let (mut child, group) = spawn(command.stdout(Stdio::piped())).unwrap();
        let mut first = [0];
        let mut line = String::new();
        let stdout = child.stdout.as_mut().unwrap();
        while stdout.read(&mut first).unwrap() > 0 && first != *b"\n" {
            line.push(first[0].into());
        }
        (child, group, line)
    }

    #[test]
    fn what_a_shell_left_behind_is_ended_with_its_group() {
        let (mut child, group, line) = started("sleep 600 >/dev/null & echo $!");
        child.wait().unwrap();
        let sleeper = Pid::from_raw(line.parse().unwrap()).unwrap();
        assert!(rustix::process::test_kill_process(sleeper).is_ok(), "it outlives its shell");
        end(group, PATIENCE);
        assert_eq!(rustix::process::test_kill_process(sleeper), Err(Errno::SRCH));
    }

    #[test]
    fn what_does_not_listen_to_sigterm_is_killed() {
        let (_child, group, _) = started("trap '' TERM; echo ready; while :; do sleep 600; done");
        end(group, Duration::from_millis(50));
        assert_eq!(test_kill_process_group(group), Err(Errno::SRCH));
    }

    #[test]
    fn the_guard_ends_what_it_was_told_of_and_not_told_off() {
        let (_ended, gone, _) = started("echo; exec sleep 600");
        let (_kept, left, _) = started("echo; exec sleep 600");
        let ids = [gone, left].map(|group| group.as_raw_nonzero());
        guard(format!("+{}\n+{}\nnonsense\n-{}\n", ids[0], ids[1], ids[1]).as_bytes());
        assert!(is_gone(gone) && !is_gone(left));
        end(left, PATIENCE);
    }

    #[test]
    fn the_guard_ends_what_has_its_mark_though_nobody_told_it() {
        let marked = |mark: String, script: &str| {
            let mut command = Command::new("sh");
            started_by(command.args(["-c", script]).env(MARK, mark))
        };
        let mark = format!("of the test {}", rand::random::<u64>());
        let (_ended, gone, _) = marked(mark.clone(), "echo; exec sleep 600");
        // The first process of this group has ended.
        let (mut shell, behind_shell, _) = marked(mark.clone(), "sleep 600 >/dev/null & echo");
        shell.wait().unwrap();
        let (_kept, left, _) = marked(format!("{mark}0"), "echo; exec sleep 600");
        end_left(io::empty(), Some(OsStr::new(&mark)));
        assert!(is_gone(gone) && is_gone(behind_shell) && !is_gone(left));
        end(left, PATIENCE);
    }
}
