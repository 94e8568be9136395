//! Stdout and stderr that cannot be written: nobody reads them any more, the disk is full, or a pipe is full, whether it
//! is one that waits for its reader or not. A lost line is a lost line: connections, exit codes and the way down are as ever.

mod support;

use std::fs::File;
use std::io::{PipeReader, Write};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};
use support::{Client, Server, frame};
use wire::OpCode::Text;

/// Ways in which a stream cannot be written.
#[derive(Debug, Clone, Copy)]
enum Broken {
    ReaderGone,
    DiskFull,
    /// With O_NONBLOCK: a write fails.
    PipeFull,
    /// Without: a write waits until somebody reads.
    PipeFullWaits,
}

/// All ways.
const WAYS: [Broken; 4] = [Broken::ReaderGone, Broken::DiskFull, Broken::PipeFull, Broken::PipeFullWaits];

impl Broken {
    /// Such a stream, and what must be kept for it to stay as it is.
    fn open(self) -> (OwnedFd, Option<PipeReader>) {
        if matches!(self, Self::DiskFull) {
            return (File::options().write(true).open("/dev/full").unwrap().into(), None);
        }
        let (reader, mut writer) = std::io::pipe().unwrap();
        if matches!(self, Self::ReaderGone) {
            return (writer.into(), None);
        }
        rustix::io::ioctl_fionbio(&writer, true).unwrap();
        while writer.write(&[b'x'; 4096]).is_ok() {}
        while writer.write(b"x").is_ok() {}
        rustix::io::ioctl_fionbio(&writer, matches!(self, Self::PipeFull)).unwrap();
        (writer.into(), Some(reader))
    }
}

fn command(flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_echo-server"));
    command.args(flags);
    command
}

fn echoes(client: &mut Client) {
    client.send(&frame(Text, b"hello"));
    assert_eq!(client.frame(), (0x81, b"hello".to_vec()));
}

#[test]
fn without_a_stderr_every_message_is_echoed_and_every_peer_gets_its_1001() {
    for (way, format) in WAYS.into_iter().zip(["text", "json", "text", "json"]) {
        let (stderr, _kept) = way.open();
        // A line for every message, a warning at the start and one at the end.
        let flags = ["--log-messages", "--log-format", format, "--recv-buffer", "1GiB", "--drain-timeout", "300ms"];
        let mut server = Server::spawn_with_stderr(&mut command(&flags), stderr);
        let mut clients = [server.connect(), server.connect()];
        for client in &mut clients {
            echoes(client);
            echoes(client);
        }
        server.signal(Signal::TERM);
        for client in &mut clients {
            client.expect_close(1001);
        }
        // Neither answers its Close frame, so that they are dropped at the deadline, which is logged.
        let status = server.wait();
        assert_eq!((status.code(), status.signal()), (Some(0), None), "{way:?}");
    }
}

#[test]
fn a_reader_that_leaves_later_ends_nothing() {
    for runtime in ["sharded", "work-stealing"] {
        let mut server = Server::start(&["--runtime", runtime, "--drain-timeout", "1h", "--close-timeout", "1h"]);
        let mut client = server.connect();
        drop(server.child.stderr.take());
        server.signal(Signal::INT);
        client.expect_close(1001);
        server.signal(Signal::TERM);
        let status = server.wait();
        assert_eq!((status.code(), status.signal()), (Some(143), None), "{runtime}");
    }
}

#[test]
fn a_lack_of_descriptors_is_waited_out_unheard() {
    for way in [Broken::DiskFull, Broken::PipeFullWaits] {
        // One worker accepts for itself, for two of them a thread of its own does.
        for threads in ["1", "2"] {
            let (stderr, _kept) = way.open();
            let server = Server::spawn_with_stderr(&mut command(&["--threads", threads]), stderr);
            // A connection shows that the worker has all descriptors it needs.
            let mut served = server.connect();
            let pid = Pid::from_raw(i32::try_from(server.child.id()).unwrap()).unwrap();
            let open = std::fs::read_dir(format!("/proc/{}/fd", server.child.id())).unwrap().count() as u64;
            prlimit(Some(pid), Resource::Nofile, Rlimit { current: Some(open), maximum: Some(open) }).unwrap();
            let waiting: Vec<_> = (0..3).map(|_| server.tcp()).collect();
            // Long enough for an attempt to fail and to be logged. If it is not, this shows less, but does not fail.
            std::thread::sleep(Duration::from_millis(300));
            echoes(&mut served);
            drop(waiting);
            drop(served);
            echoes(&mut server.connect());
        }
    }
}

#[test]
fn errors_keep_their_exit_code() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let cases: [(&[&str], i32); 5] = [
        (&["--listen", &taken], 1),
        (&["--no-such-flag"], 2),
        (&["--deflate-level", "3"], 2),
        (&["--lane", "on", "--log-messages"], 2),
        (&["--pin", "1023"], 2),
    ];
    // All at once: where the pipe is full, each waits a second for room in it.
    let started =
        cases.iter().flat_map(|(flags, code)| WAYS.map(|way| (flags, code, way))).map(|(flags, code, way)| {
            let (stderr, kept) = way.open();
            (flags, code, way, command(flags).stderr(stderr).spawn().unwrap(), kept)
        });
    for (flags, code, way, mut child, _kept) in started.collect::<Vec<_>>() {
        let status = child.wait().unwrap();
        assert_eq!((status.code(), status.signal()), (Some(*code), None), "{flags:?}, {way:?}");
    }
}

#[test]
fn what_was_asked_for_and_cannot_be_printed_is_an_error_unless_the_reader_had_enough() {
    for flags in [&["--help"][..], &["--version"], &["--print-config"]] {
        // A full pipe that waits is waited for, as by any program that is asked to print something.
        for way in [Broken::ReaderGone, Broken::DiskFull, Broken::PipeFull] {
            let (stdout, _kept) = way.open();
            let output = command(flags).stdout(stdout).stderr(Stdio::piped()).output().unwrap();
            let stderr = String::from_utf8_lossy(&output.stderr);
            if matches!(way, Broken::ReaderGone) {
                assert_eq!((output.status.code(), &*stderr), (Some(0), ""), "{flags:?}");
            } else {
                assert_eq!(output.status.code(), Some(1), "{flags:?}, {way:?}: {stderr}");
                assert!(stderr.starts_with("error: writing to stdout: "), "{flags:?}, {way:?}: {stderr}");
            }
            // Nor does it matter that there is nowhere left to say so.
            let ((stdout, _kept), (stderr, _too)) = (way.open(), way.open());
            let status: ExitStatus = command(flags).stdout(stdout).stderr(stderr).status().unwrap();
            assert_eq!(status.code(), output.status.code(), "{flags:?}, {way:?}");
        }
    }
}

#[test]
fn a_server_needs_no_stdout() {
    for way in WAYS {
        let (stdout, _kept) = way.open();
        // Its ready line is lost: the port must be known beforehand.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let mut child = command(&["--listen", &address]).stdout(stdout).stderr(Stdio::null()).spawn().unwrap();
        let deadline = std::time::Instant::now() + support::PATIENCE;
        let mut stream = loop {
            match std::net::TcpStream::connect(&address) {
                Ok(stream) => break stream,
                Err(_) => {
                    assert!(child.try_wait().unwrap().is_none() && std::time::Instant::now() < deadline, "{way:?}")
                }
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        stream.set_read_timeout(Some(support::PATIENCE)).unwrap();
        stream.write_all(format!("{}\r\n", support::UPGRADE).as_bytes()).unwrap();
        echoes(&mut support::upgraded(stream));
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, Signal::TERM).unwrap();
        let status = child.wait().unwrap();
        assert_eq!((status.code(), status.signal()), (Some(0), None), "{way:?}");
    }
}
