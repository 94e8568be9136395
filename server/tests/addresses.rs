//! `--listen`: names, and which connections `[::]` takes.

mod support;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::process::{Child, ChildStdout, Command, Stdio};

use support::{UPGRADE, frame, upgraded};
use wire::OpCode::Text;

/// A server, killed when dropped, and what it says it listens on.
struct Listening {
    child: Child,
    addresses: Vec<SocketAddr>,
    _stdout: BufReader<ChildStdout>,
}

impl Listening {
    fn on(flags: &[&str], addresses: usize) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_echo-server"));
        let mut child = command.args(flags).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let ready = |_| {
            let mut line = String::new();
            stdout.read_line(&mut line).unwrap();
            let address = line.strip_prefix("listening on ws://").and_then(|rest| rest.strip_suffix("/\n"));
            address.and_then(|address| address.parse().ok()).unwrap_or_else(|| panic!("{flags:?}: {line:?}"))
        };
        let addresses = (0..addresses).map(ready).collect();
        Self { child, addresses, _stdout: stdout }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn echoes(address: impl ToSocketAddrs) {
    use std::io::Write;
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(support::PATIENCE)).unwrap();
    stream.write_all(format!("{UPGRADE}\r\n").as_bytes()).unwrap();
    let mut client = upgraded(stream);
    client.send(&frame(Text, b"hello"));
    assert_eq!(client.frame(), (0x81, b"hello".to_vec()));
}

#[test]
fn every_address_that_a_name_stands_for_is_listened_on() {
    let found = ("localhost", 0).to_socket_addrs().unwrap();
    let usable: BTreeSet<_> = found.filter(|&address| UdpSocket::bind(address).is_ok()).collect();
    assert!(!usable.is_empty());
    let server = Listening::on(&["--listen", "localhost:0"], usable.len());
    let listening: BTreeSet<_> = server.addresses.iter().map(SocketAddr::ip).collect();
    assert_eq!(listening, usable.iter().map(SocketAddr::ip).collect());
    server.addresses.iter().for_each(echoes);
}

#[test]
fn a_name_that_leads_nowhere_is_named_with_the_reason() {
    // Longer than a name may be, so that nobody is asked.
    let name = format!("{}:80", "a".repeat(64));
    let output = Command::new(env!("CARGO_BIN_EXE_echo-server")).args(["--listen", &name]).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.starts_with(&format!("error: --listen {name}: ")), "{stderr}");
}

#[test]
fn every_address_takes_ipv4_and_ipv6() {
    for balance in ["exact", "kernel"] {
        let server = Listening::on(&["--listen", "[::]:0", "--threads", "2", "--balance", balance], 1);
        let port = server.addresses[0].port();
        assert_eq!(server.addresses[0].to_string(), format!("[::]:{port}"));
        for _ in 0..5 {
            echoes(("127.0.0.1", port));
            echoes(("::1", port));
        }
    }
}

#[test]
fn ipv4_that_is_asked_for_apart_is_no_conflict() {
    let port = TcpListener::bind("[::]:0").unwrap().local_addr().unwrap().port();
    let (ipv4, ipv6) = (format!("127.0.0.1:{port}"), format!("[::]:{port}"));
    for flags in [["--listen", &*ipv4, "--listen", &*ipv6], ["--listen", &*ipv6, "--listen", &*ipv4]] {
        let server = Listening::on(&flags, 2);
        server.addresses.iter().for_each(|address| assert_eq!(address.port(), port));
        echoes(("127.0.0.1", port));
        echoes(("::1", port));
    }
}
