//! Stdout and stderr that cannot be written: a run is measured, the embedded server serves and ends in order, and exit codes are
//! as ever. (What reports do about it is shown with the reports.)

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

fn loadgen(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadgen"));
    command.args(arguments).stdin(Stdio::null());
    command
}

fn full() -> File {
    File::options().write(true).open("/dev/full").unwrap()
}

/// A pipe that nobody reads.
fn unread() -> Stdio {
    std::io::pipe().unwrap().1.into()
}

#[test]
fn the_embedded_server_ends_in_order_without_a_stderr() {
    for stderr in [full().into(), unread()] {
        let mut command = loadgen(&["embedded-server", "--listen", "127.0.0.1:0"]);
        let mut child = command.env("RUST_LOG", "info").stdout(Stdio::piped()).stderr(stderr).spawn().unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        assert!(ready.starts_with("listening on "), "{ready:?}");
        // It logs that it drains.
        kill_process(Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap(), Signal::TERM).unwrap();
        let status = child.wait().unwrap();
        assert_eq!((status.code(), status.signal()), (Some(0), None));
    }
}

#[test]
fn a_run_needs_no_stderr() {
    for stderr in [full().into(), unread()] {
        let run = ["run", "--server", "", "-c", "2", "--messages", "100", "--warmup", "0s", "--format", "json"];
        let output = loadgen(&run).env("RUST_LOG", "debug").stderr(stderr).output().unwrap();
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("a report");
        assert_eq!(report["messages"]["verified"], 100);
        // So few messages may be called untrustworthy.
        assert!(matches!(output.status.code(), Some(0 | 98)), "{:?}", output.status);
    }
}

#[test]
fn errors_keep_their_exit_code_without_a_stderr() {
    let cases: [(&[&str], i32); 9] = [
        (&["--no-such-flag"], 2),
        (&["run", "--no-such-flag"], 2),
        (&["compare", "--no-such-flag"], 2),
        (&["sweep", "--no-such-flag"], 2),
        (&["report", "--no-such-flag"], 2),
        (&["report", "/no/such/file"], 2),
        (&["embedded-server", "--no-such-flag"], 2),
        (&["embedded-server", "--deflate-level", "3"], 2),
        (&["embedded-server", "--listen", "192.0.2.1:80"], 1),
    ];
    for (arguments, code) in cases {
        for stderr in [full().into(), unread()] {
            let status = loadgen(arguments).stdout(Stdio::null()).stderr(stderr).status().unwrap();
            assert_eq!((status.code(), status.signal()), (Some(code), None), "{arguments:?}");
        }
    }
}

#[test]
fn help_that_cannot_be_printed_is_an_error_unless_the_reader_had_enough() {
    for arguments in [&["--help"][..], &["--version"], &["run", "--help"], &["compare", "--help"], &["report", "-h"]] {
        let output = loadgen(arguments).stdout(full()).stderr(Stdio::piped()).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {stderr}");
        assert!(stderr.starts_with("error: writing to stdout: "), "{arguments:?}: {stderr}");
        assert_eq!(loadgen(arguments).stdout(unread()).status().unwrap().code(), Some(0), "{arguments:?}");
        assert_eq!(loadgen(arguments).stdout(full()).stderr(full()).status().unwrap().code(), Some(1), "{arguments:?}");
    }
}
