//! The files of TLS are read again: once by whoever sees a change first, the client's authorities too, and those that cannot be
//! used are told of and change nothing.

mod support;
#[path = "support/tls.rs"]
mod tls;

use std::io::{BufRead, BufReader, Read, Write};
use std::process::ChildStderr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, prlimit};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use support::{PATIENCE, Server};
use tls::{Authority, Files, Setting, echoed};

const LOADED: &str = "new connections use the TLS files as they are now";
const REFUSED: &str = "the former ones stay in use";

#[test]
fn the_authorities_of_clients_are_read_again() {
    let authority = Authority::new();
    let (files, member) = (authority.issue("server"), authority.issue("member"));
    let others = Authority::new();
    let other = others.issue("other");
    let known = authority.folder().join("known.pem");
    std::fs::copy(authority.file(), &known).unwrap();
    let flags = [&files.flags()[..], &["--tls-client-ca", known.to_str().unwrap()]].concat();
    let [member, other] = [member, other].map(|files| Arc::new(authority.client_with(rustls::ALL_VERSIONS, &files)));
    let client = Arc::new(authority.client(rustls::ALL_VERSIONS));
    let setting = Setting { server: Server::start(&flags), files, client, authority };
    let is_served = |who: &Arc<rustls::ClientConfig>| {
        let mut stream = setting.tls_with(who);
        let mut answer = String::new();
        let asked = stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        asked.and_then(|()| stream.read_to_string(&mut answer)).is_ok() && answer.ends_with("ok\n")
    };
    assert!(is_served(&member) && !is_served(&other));
    for told in [true, false] {
        let (now, before, file) =
            if told { (&other, &member, others.file()) } else { (&member, &other, setting.authority.file()) };
        let new = setting.authority.folder().join("new.pem");
        std::fs::copy(file, &new).unwrap();
        std::fs::rename(&new, &known).unwrap();
        if told {
            setting.server.signal(Signal::HUP);
        }
        let deadline = Instant::now() + PATIENCE;
        while !is_served(now) {
            assert!(Instant::now() < deadline, "the file is not read again (SIGHUP: {told})");
            thread::sleep(Duration::from_millis(20));
        }
        assert!(!is_served(before), "SIGHUP: {told}");
    }
}

#[test]
fn a_file_that_cannot_be_used_is_noticed_and_said_once() {
    let mut setting = Setting::with_log(&[]);
    let mut log = Log(BufReader::new(setting.server.child.stderr.take().unwrap()));
    let other = setting.authority.issue("other");
    std::fs::rename(&other.key, &setting.files.key).unwrap();
    let line = log.until(REFUSED);
    assert!(line.contains("it is not the key of the certificate in"), "{line}");
    echoed(&mut setting.connect(), b"message");
    // Its certificate makes the pair whole.
    std::fs::rename(&other.chain, &setting.files.chain).unwrap();
    let between = log.until(LOADED);
    assert!(!between.contains(REFUSED), "it is said again: {between}");
    let mut client = setting.connect();
    echoed(&mut client, b"message");
    let shown = &client.stream.conn.peer_certificates().unwrap()[0];
    assert_eq!(shown.as_ref(), certificate(&setting.files));
}

#[test]
fn files_that_cannot_be_read_for_want_of_descriptors_are_read_later() {
    let mut setting = Setting::with_log(&["--threads", "1"]);
    let mut log = Log(BufReader::new(setting.server.child.stderr.take().unwrap()));
    // It stays: a descriptor that it left would be free to read a file by.
    let mut staying = setting.connect();
    echoed(&mut staying, b"before");
    let pid = setting.server.child.id();
    let of = Some(Pid::from_raw(pid.cast_signed()).unwrap());
    // The limit is on their numbers, of which the lowest that is free is taken.
    let is_taken = |descriptor: &u64| std::fs::symlink_metadata(format!("/proc/{pid}/fd/{descriptor}")).is_ok();
    let free = (0..).find(|descriptor| !is_taken(descriptor)).unwrap();
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let before = prlimit(of, Resource::Nofile, Rlimit { current: Some(free), maximum }).unwrap();
    setting.files.replace_by(&setting.authority.issue("other"));
    let said = log.until("are not loaded yet");
    assert!(said.contains("Too many open files"), "{said}");
    // Two looks later it has not been said again.
    thread::sleep(Duration::from_millis(2_200));
    prlimit(of, Resource::Nofile, before).unwrap();
    let between = log.until(LOADED);
    assert!(!between.contains(REFUSED), "it is said again: {between}");
    let mut client = setting.connect();
    echoed(&mut client, b"message");
    assert_eq!(client.stream.conn.peer_certificates().unwrap()[0].as_ref(), certificate(&setting.files));
}

#[test]
fn a_change_that_a_signal_has_loaded_is_not_loaded_again() {
    let mut setting = Setting::with_log(&[]);
    let mut log = Log(BufReader::new(setting.server.child.stderr.take().unwrap()));
    let mut loads = 0;
    // Now and then a slow machine lets the watch see the change before the signal comes: then both have loaded it.
    for name in ["second", "third"] {
        setting.files.replace_by(&setting.authority.issue(name));
        setting.server.signal(Signal::HUP);
        log.until(LOADED);
        // The watch looks once a second, and loads what has not changed for two looks.
        thread::sleep(Duration::from_secs(3));
        setting.server.signal(Signal::HUP);
        let between = log.until(LOADED);
        loads += between.matches(LOADED).count() - 1;
    }
    assert!(loads < 2, "each change was loaded twice");
}

/// What the certificate in these files is.
fn certificate(files: &Files) -> Vec<u8> {
    CertificateDer::from_pem_file(&files.chain).unwrap().to_vec()
}

/// What a server logs.
struct Log(BufReader<ChildStderr>);

impl Log {
    /// What it says until a line has these words, that line included.
    fn until(&mut self, words: &str) -> String {
        let mut said = String::new();
        while !said.contains(words) {
            assert!(self.0.read_line(&mut said).unwrap() > 0, "the log ends: {said}");
        }
        said
    }
}
