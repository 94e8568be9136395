//! Places that refuse what a machine usually gives: no /proc, no /sys, a CPU quota. What needs root and a mount or a control
//! group of its own is skipped elsewhere, and says so on stderr.

mod binary;
#[path = "../../server/tests/support/skipped.rs"]
mod skipped;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use binary::{EmbeddedServer, Finished};
use skipped::skipped;

const LOADGEN: &str = env!("CARGO_BIN_EXE_loadgen");

/// Runs a shell script with `$1` loadgen and the arguments after it.
fn shell(script: &str, arguments: &[&str]) -> Finished {
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh", LOADGEN]).args(arguments).stdin(Stdio::null());
    let output = command.output().expect("a shell");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Finished { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// The notes and reasons of a JSON report.
fn said(finished: &Finished) -> String {
    assert!(!finished.stderr.contains("panicked"), "{}", finished.stderr);
    let report: serde_json::Value = serde_json::from_str(&finished.stdout)
        .unwrap_or_else(|error| panic!("{error}: {:?} {}", finished.code, finished.stderr));
    report["trust"].to_string()
}

#[test]
fn without_proc_and_sys_everything_is_measured_and_noted() {
    const MASK: &str = "mount -t tmpfs none /proc && mount -t tmpfs none /sys";
    let masked = format!("unshare -m sh -c '{MASK} && exec \"$@\"' sh \"$@\"");
    if shell(&format!("unshare -m sh -c '{MASK}'"), &[]).code != Some(0) {
        skipped("needs root, to mount over /proc");
        return;
    }
    let server = EmbeddedServer::start(&[]);
    let command = format!("{LOADGEN} embedded-server --listen 127.0.0.1:{{port}}");
    let brief = ["-c", "2", "-d", "500ms", "--warmup", "0s", "--format", "json"];
    let paired = ["-c", "2", "--max-time", "2s", "--format", "json", "-q"];
    let calls: [(&[&str], &[&str]); 5] = [
        (&["run", &server.url], &brief),
        (&["run"], &brief),
        (&["run", "--server", &command], &brief),
        (&["compare", "--aa", "--gate", "throughput", "--gate", "server-cpu"], &paired),
        (&["sweep", "--vary", "tcp-nodelay=on,off"], &paired),
    ];
    for (call, flags) in calls {
        let finished = shell(&masked, &[call, flags].concat());
        assert!(matches!(finished.code, Some(0 | 98)), "{call:?}: {:?} {}", finished.code, finished.stderr);
        assert!(said(&finished).contains("/proc cannot be read"), "{call:?}: {}", finished.stdout);
    }
    // The echo server as well.
    let config = shell(&masked, &["embedded-server", "--listen", "127.0.0.1:0", "--print-config"]);
    assert_eq!(config.code, Some(0), "{}", config.stderr);
    assert!(config.stdout.contains("listen"), "{}", config.stdout);
}

#[test]
fn a_scheduler_that_refuses_cores_is_noted_and_no_obstacle() {
    let calls = "sched_getaffinity,sched_setaffinity";
    let refuse =
        format!("exec strace -f --seccomp-bpf -qq -o /dev/null -e trace={calls} -e inject={calls}:error=EPERM \"$@\"");
    if shell(&refuse, &["--version"]).code != Some(0) {
        skipped("needs strace, and the right to trace");
        return;
    }
    let finished = shell(&refuse, &["run", "-c", "2", "-d", "500ms", "--warmup", "0s", "--format", "json"]);
    assert!(matches!(finished.code, Some(0 | 98)), "{:?} {}", finished.code, finished.stderr);
    assert!(said(&finished).contains("the scheduler does not let threads be kept to cores"), "{}", finished.stdout);
}

/// A control group with a CPU quota of a tenth of a CPU, which even a busy machine has for it; removed when dropped.
struct Quota(PathBuf);

impl Quota {
    fn new() -> Option<Self> {
        let name = format!("fathom-test-{}", std::process::id());
        let [v1, v2] = ["/sys/fs/cgroup/cpu", "/sys/fs/cgroup"].map(|root| Path::new(root).join(&name));
        if fs::create_dir(&v1).is_ok() {
            let quota = Self(v1);
            let set = |file: &str, value: &str| fs::write(quota.0.join(file), value).is_ok();
            return (set("cpu.cfs_period_us", "100000") && set("cpu.cfs_quota_us", "10000")).then_some(quota);
        }
        fs::create_dir(&v2).ok()?;
        let quota = Self(v2);
        // There only where the controller is on.
        let set = quota.0.join("cpu.max").exists() && fs::write(quota.0.join("cpu.max"), "10000 100000").is_ok();
        set.then_some(quota)
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn a_cpu_quota_that_ran_out_is_told() {
    let Some(quota) = Quota::new() else {
        skipped("needs root and a control group with a CPU quota");
        return;
    };
    let inside = format!("echo $$ > {}/cgroup.procs && exec \"$@\"", quota.0.display());
    let calls: [&[&str]; 3] = [
        &["run", "-c", "10", "-d", "2s", "--warmup", "0s", "--format", "json"],
        // Trials of more than two periods of the quota, so that each has a reply.
        &["compare", "--aa", "-c", "10", "--trial", "1s", "--max-time", "12s", "--format", "json", "-q"],
        &[
            "sweep",
            "--force",
            "--vary-load",
            "in-flight=1,2",
            "-c",
            "10",
            "--trial",
            "1s",
            "--max-time",
            "12s",
            "--format",
            "json",
            "-q",
        ],
    ];
    // Where the machine itself has hardly more to give than the quota, that runs out in fewer periods: then again, a few
    // times. It is told each time.
    let is_held_back = |inside: &str, call: &[&str]| {
        let mut finished = shell(inside, call);
        for _ in 0..4 {
            let said = said(&finished);
            assert!(said.contains("the CPU quota of 0.10 CPUs of control group"), "{call:?}: {said}");
            if finished.code != Some(0) {
                break;
            }
            eprintln!("{call:?}: {said}");
            finished = shell(inside, call);
        }
        assert_eq!(finished.code, Some(98), "{call:?}: {}\n{}", finished.stdout, finished.stderr);
        let said = said(&finished);
        assert!(said.contains("the CPU quota of 0.10 CPUs of control group"), "{call:?}: {said}");
        assert!(said.contains("the figures are the quota's"), "{call:?}: {said}");
    };
    calls.iter().for_each(|call| is_held_back(&inside, call));
    // The server alone is held back, and its control group is another.
    let command = format!(
        "sh -c \"echo 0 > {}/cgroup.procs && exec {LOADGEN} embedded-server --listen 127.0.0.1:\\$1\" - {{port}}",
        quota.0.display()
    );
    let alone = ["run", "--server", &command, "-c", "10", "-d", "2s", "--warmup", "0s", "--format", "json"];
    is_held_back("exec \"$@\"", &alone);
}
