//! The processes that a server's processes start: one for each connection, say.

use std::collections::HashMap;
use std::process;
use std::time::Duration;

use procfs::process::{Process, all_processes};

/// The processes that these have started and that live, and those that these started in turn. None of a process that this one
/// descends from, as of the one that starts every service: what such a one starts is not the server's.
pub fn descendants(of: &[i32]) -> Vec<i32> {
    if of.is_empty() {
        return Vec::new();
    }
    let stats = all_processes().into_iter().flatten().flatten().filter_map(|process| process.stat().ok());
    let parents: HashMap<i32, i32> = stats.map(|stat| (stat.pid, stat.ppid)).collect();
    let mut passed_over = vec![process::id().cast_signed()];
    while let Some(parent) = passed_over.last().and_then(|pid| parents.get(pid)) {
        passed_over.push(*parent);
    }
    let mut found: Vec<i32> = of.iter().copied().filter(|pid| !passed_over.contains(pid)).collect();
    let (given, mut looked_at) = (found.len(), 0);
    while let Some(&parent) = found.get(looked_at) {
        let children = parents.iter().filter(|(pid, of)| **of == parent && !passed_over.contains(pid));
        let new: Vec<i32> = children.map(|(pid, _)| *pid).filter(|pid| !found.contains(pid)).collect();
        found.extend(new);
        looked_at += 1;
    }
    found.drain(given..).filter(|pid| !of.contains(pid)).collect()
}

/// The CPU time, to the kernel's tick of 10 ms, of the processes that `pid` has started, that have ended, and whose end it has
/// waited for; `None` where it has ended itself.
pub fn cpu_of_ended(pid: i32) -> Option<Duration> {
    let stat = Process::new(pid).and_then(|process| process.stat()).ok()?;
    let ticks = u64::try_from(stat.cutime + stat.cstime).ok()?;
    Some(Duration::from_millis(ticks * 1_000 / procfs::ticks_per_second()))
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::process::{Command, Stdio};
    use std::thread;
    use std::time::Instant;

    use rustix::process::{Pid, Signal, kill_process};

    use super::*;
    use crate::host::resources::Sampler;

    /// A server that has started one process waits for its end, says so, and starts another.
    #[test]
    fn what_a_server_starts_counts_with_it() {
        let burn = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
        let shell = format!("exec 3<&0; (read go <&3; {burn}) & wait; echo done; (while :; do :; done) & wait");
        let mut command = Command::new("sh");
        let mut child = command.args(["-c", &shell]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let root = child.id().cast_signed();
        let deadline = Instant::now() + Duration::from_secs(60);
        while descendants(&[root]).is_empty() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(2));
        }
        let sampler = Sampler::of(&[root]).unwrap();
        child.stdin.take().unwrap().write_all(b"go\n").unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let of_ended = sampler.cpu().unwrap();
        while sampler.cpu().unwrap() < of_ended + Duration::from_millis(20) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(2));
        }
        let with_new = sampler.cpu().unwrap();
        for pid in descendants(&[root]).into_iter().chain([root]) {
            kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
        }
        child.wait().unwrap();
        assert!(of_ended >= Duration::from_millis(20), "the one that ended: {of_ended:?}");
        assert!(with_new >= of_ended + Duration::from_millis(20), "the one started since: {with_new:?}");
    }

    #[test]
    fn children_and_theirs_are_found_but_not_those_of_an_ancestor_of_this_process() {
        let shell = "sh -c 'sleep 60 & echo $!; wait' & wait";
        let mut child = Command::new("sh").args(["-c", shell]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let (root, sleeper) = (child.id().cast_signed(), line.trim().parse::<i32>().unwrap());
        let found = descendants(&[root]);
        assert!(found.contains(&sleeper) && found.len() == 2 && !found.contains(&root), "{found:?}");
        assert_eq!(descendants(&[root, found[0], found[1]]), [0i32; 0]);
        assert_eq!(descendants(&[process::id().cast_signed(), 1]), [0i32; 0]);
        for pid in found.into_iter().chain([root]) {
            kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
        }
        child.wait().unwrap();
    }
}
