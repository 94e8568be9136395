//! Keys of TLS that come through a pipe, and keys that make handshakes slow.

#[path = "support/skipped.rs"]
mod skipped;
mod support;
#[path = "support/tls.rs"]
mod tls;

use std::process::{Command, Stdio};
use std::sync::Arc;

use rustix::process::Signal;
use rustls::ClientConnection;
use skipped::skipped;
use support::Server;
use tls::{Authority, Files, Setting, echoed, upgrade};

const WSS: [&str; 2] = ["--listen", "wss://127.0.0.1:0"];

#[test]
fn a_key_may_come_through_a_pipe_and_a_named_pipe_stops_nobody() {
    let authority = Authority::new();
    let Files { chain, key } = authority.issue("server");
    // As `<(cat key)` in a shell: something that writes beside the server.
    let mut cat = Command::new("cat").arg(&key).stdout(Stdio::piped()).spawn().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_echo-server"));
    command.args(WSS).arg("--tls-cert").arg(&chain).args(["--tls-key", "/proc/self/fd/0"]);
    let server = Server::spawn(command.stdin(cat.stdout.take().unwrap()));
    cat.wait().unwrap();
    let client = Arc::new(authority.client(rustls::ALL_VERSIONS));
    let connection = ClientConnection::new(client, "localhost".try_into().unwrap()).unwrap();
    let stream = Server::stream_to(server.tls_port.unwrap());
    echoed(&mut upgrade(rustls::StreamOwned::new(connection, stream), ""), b"message");

    let pipe = authority.folder().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let flags = ["--tls-cert", chain.to_str().unwrap(), "--tls-key", pipe.to_str().unwrap()];
    let refused = Command::new(env!("CARGO_BIN_EXE_echo-server")).args(WSS).args(flags).output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(refused.status.code() == Some(1) && said.contains("it is a named pipe; expected a file"), "{said}");

    let mut setting = Setting::with_log(&[]);
    echoed(&mut setting.connect(), b"message");
    std::fs::rename(&pipe, &setting.files.key).unwrap();
    setting.server.signal(Signal::HUP);
    let mut log = String::new();
    let mut lines = std::io::BufReader::new(setting.server.child.stderr.take().unwrap());
    while !log.contains("it is a named pipe") {
        assert!(std::io::BufRead::read_line(&mut lines, &mut log).unwrap() > 0, "{log}");
    }
    echoed(&mut setting.connect(), b"message");
    setting.server.signal(Signal::TERM);
    assert!(setting.server.wait().success());
}

#[test]
fn a_key_that_makes_handshakes_slow_is_warned_of() {
    let authority = Authority::new();
    for (bits, warned) in [("rsa:2048", false), ("rsa:3072", true)] {
        let [chain, key] = ["rsa.crt", "rsa.key"].map(|name| authority.folder().join(name));
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-noenc", "-subj", "/CN=localhost", "-newkey", bits, "-keyout"]);
        match openssl.arg(&key).arg("-out").arg(&chain).output() {
            Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
            Err(_) => return skipped("there is no openssl to make other kinds of keys with"),
        }
        let log = Server::start(&Files { chain, key }.flags()).into_log();
        assert_eq!(log.contains("RSA of more than 2048 bits makes handshakes slow"), warned, "{bits}: {log}");
    }
}
