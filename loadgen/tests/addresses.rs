//! Servers whose name has several addresses, and local addresses of one family.

mod binary;
#[path = "../../server/tests/support/skipped.rs"]
mod skipped;

use std::net::{SocketAddr, TcpListener};
use std::process::Command;

use binary::{EmbeddedServer, Finished, loadgen};
use skipped::skipped;
use socket2::{Domain, Socket, Type};

/// A short run: what is asked here is whether it works, not how fast.
const BRIEF: [&str; 8] = ["-c", "4", "-d", "200ms", "--warmup", "0s", "--format", "json"];

/// Runs against `dual.test`, which is `::1` and `127.0.0.1` in this order; `None` where that cannot be arranged.
fn run_dual(port: u16, flags: &[&str]) -> Option<Finished> {
    let hosts = format!("{}/{}-{port}-hosts", env!("CARGO_TARGET_TMPDIR"), std::process::id());
    std::fs::write(&hosts, "::1 dual.test\n127.0.0.1 dual.test\n").unwrap();
    // A mount of its own, which ends with it, and only the program sees.
    let inside = |command: &str| {
        let mut unshare = Command::new("unshare");
        let script = format!("mount --bind {hosts} /etc/hosts && {command}");
        unshare.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script, "sh"]);
        unshare
    };
    let possible = inside("getent ahosts dual.test | grep -q ^::1").output().is_ok_and(|tried| tried.status.success());
    let finished = possible.then(|| {
        let mut command = inside("exec \"$@\"");
        let url = format!("ws://dual.test:{port}/");
        command.args([env!("CARGO_BIN_EXE_loadgen"), "run", &url]).args(BRIEF).args(flags);
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Finished { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    });
    if finished.is_none() {
        skipped("no /etc/hosts of its own for a process, or no IPv6");
    }
    std::fs::remove_file(hosts).unwrap();
    finished
}

/// The addresses that the four connections of a run went to.
fn used(finished: &Finished) -> serde_json::Value {
    assert!(matches!(finished.code, Some(0 | 98)), "{}", finished.stderr);
    let report: serde_json::Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!(report["connections"]["established"], 4);
    report["addresses"].clone()
}

fn port_of(url: &str) -> u16 {
    url.trim_end_matches('/').rsplit_once(':').unwrap().1.parse().unwrap()
}

#[test]
fn an_address_that_swallows_connections_is_passed_over() {
    let server = EmbeddedServer::start(&[]);
    let port = port_of(&server.url);
    let address = SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], port)).into();
    let deaf = Socket::new(Domain::IPV6, Type::STREAM, None).unwrap();
    if deaf.bind(&address).and_then(|()| deaf.listen(0)).is_err() {
        skipped("no IPv6");
        return;
    }
    let fill = |_| {
        let socket = Socket::new(Domain::IPV6, Type::STREAM, None).unwrap();
        socket.set_nonblocking(true).unwrap();
        // It is under way for ever.
        let _ = socket.connect(&address);
        socket
    };
    let _filled: Vec<Socket> = (0..4).map(fill).collect();
    let Some(finished) = run_dual(port, &[]) else { return };
    assert_eq!(used(&finished), serde_json::json!({ format!("127.0.0.1:{port}"): 4 }));
}

#[test]
fn the_addresses_of_the_source_s_family_are_used() {
    let four = EmbeddedServer::start(&[]);
    let port = port_of(&four.url);
    let Some(finished) = run_dual(port, &["--source-ip", "127.0.0.2", "--source-ip", "127.0.0.3"]) else { return };
    assert_eq!(used(&finished), serde_json::json!({ format!("127.0.0.1:{port}"): 4 }));
    // It listens on another port of 127.0.0.1 as well.
    let _six = EmbeddedServer::start(&["--listen", &format!("[::1]:{port}")]);
    let Some(finished) = run_dual(port, &["--source-ip", "127.0.0.2", "--source-ip", "::1"]) else { return };
    let expected = serde_json::json!({ format!("127.0.0.1:{port}"): 2, format!("[::1]:{port}"): 2 });
    assert_eq!(used(&finished), expected, "sources are taken in turn");
}

#[test]
fn a_source_of_the_other_family_is_refused_with_its_flag() {
    for (url, source, words) in [
        ("ws://127.0.0.1:1/", "::1", "127.0.0.1:1 has no IPv6 address"),
        ("ws://[::1]:1/", "127.0.0.2", "[::1]:1 has no IPv4 address"),
    ] {
        for command in [
            &["run", url][..],
            &["compare", "--a", url, "--b", url],
            &["sweep", "--server", url, "--vary-load", "in-flight=1,2"],
        ] {
            let finished = loadgen(&[command, &["-c", "2", "-q", "--source-ip", source]].concat()).wait();
            assert_eq!((finished.code, finished.stdout.as_str()), (Some(1), ""), "{command:?}");
            for words in [&format!("--source-ip {source}"), words] {
                assert!(finished.stderr.contains(words), "{words} is missing in {}", finished.stderr);
            }
        }
    }
}

#[test]
fn a_name_says_where_it_led() {
    let server = EmbeddedServer::start(&[]);
    let port = port_of(&server.url);
    let url = format!("ws://localhost:{port}/");
    let finished = loadgen(&["run", &url, "-c", "4", "-d", "200ms", "--warmup", "0s"]).wait();
    assert!(matches!(finished.code, Some(0 | 98)), "{}", finished.stderr);
    assert!(finished.stdout.contains(&format!("  4 to 127.0.0.1:{port}\n")), "{}", finished.stdout);
    let finished = loadgen(&["run", &server.url, "-c", "4", "-d", "200ms", "--warmup", "0s"]).wait();
    assert!(!finished.stdout.contains(" to 127.0.0.1"), "the URL has said it: {}", finished.stdout);
}

#[test]
fn a_server_of_no_address_is_told_of_each() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let finished = loadgen(&["run", &format!("ws://127.0.0.1:{free}/"), "-d", "1s"]).wait();
    assert_eq!(finished.code, Some(1));
    let words = format!("cannot connect to 127.0.0.1:{free}: Connection refused (os error 111), nothing listens there");
    assert!(finished.stderr.contains(&words), "{}", finished.stderr);
    let Some(finished) = run_dual(free, &[]) else { return };
    let words = [format!("[::1]:{free} (Connection refused"), format!("127.0.0.1:{free} (Connection refused")];
    assert!(words.iter().all(|words| finished.stderr.contains(words)), "{}", finished.stderr);
}
