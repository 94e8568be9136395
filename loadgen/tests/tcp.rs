//! TCP alone (`tcp://`): runs against the embedded server and against echo servers of the tests' own, which do right and wrong
//! in chosen ways; and comparisons of WebSocket with it.

mod binary;

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use binary::{Finished, Json, comparison, loadgen};
use loadgen::report::sweep::Sweep;

const LISTEN: &str = "--listen tcp://127.0.0.1:0";

fn run(arguments: &[&str]) -> Finished {
    let fixed = ["run", "--connections", "3", "--messages", "600", "--warmup", "0s", "--threads", "1"];
    loadgen(&[&fixed[..], arguments].concat()).wait()
}

/// The report of a run that measured; whether the machine was quiet enough is not the question here.
fn report(arguments: &[&str]) -> Json {
    let finished = run(&[&["--format", "json"], arguments].concat());
    assert!(matches!(finished.code, Some(0 | 98)), "{arguments:?}: {:?} {}", finished.code, finished.stderr);
    Json(serde_json::from_str(&finished.stdout).expect("a report"))
}

/// A server that does this with each connection; its URL. It ends with the test.
fn server(serve: fn(TcpStream) -> io::Result<()>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("tcp://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            // A connection ends with an error here whenever loadgen closes it first.
            thread::spawn(move || serve(stream?));
        }
        io::Result::Ok(())
    });
    url
}

/// Sends back what comes once `change` has had it, which knows how many bytes came before.
fn echo(mut stream: TcpStream, mut change: impl FnMut(usize, &mut Vec<u8>)) -> io::Result<()> {
    let (mut before, mut buffer) = (0, vec![0; 64 << 10]);
    loop {
        let came = stream.read(&mut buffer)?;
        if came == 0 {
            return Ok(());
        }
        let mut bytes = buffer[..came].to_vec();
        change(before, &mut bytes);
        before += came;
        stream.write_all(&bytes)?;
    }
}

#[test]
fn every_load_is_verified_to_the_byte() {
    for flags in [
        &[][..],
        &["--size", "1"],
        &["--size", "1..3000", "--in-flight", "9"],
        &["--size", "30000", "--in-flight", "30"],
        &["--text", "--payload", "json", "--size", "500"],
        &["--rate", "2000", "--timestamps", "off"],
    ] {
        let report = report(&[&["--server", LISTEN], flags].concat());
        assert_eq!(report.number("/messages/verified"), 600.0, "{flags:?}");
        assert_eq!(report.number("/verification/compared"), 600.0, "{flags:?}");
        // There are no frames around the messages.
        let bytes = |of: &str| report.number(&format!("/wire/received/{of}"));
        assert_eq!(bytes("frame_bytes"), bytes("message_bytes"), "{flags:?}");
        assert!(report.0["target"].as_str().unwrap().contains("at tcp://127.0.0.1:"), "{}", report.0["target"]);
        // Nothing follows TCP.
        assert_eq!(report.number("/upgrade/max"), 0.0);
        assert!(report.number("/tcp/mean") <= report.number("/connect/mean") * 1.01, "{}", report.0["connect"]);
    }
}

#[test]
fn lengths_alone_are_checked_where_that_is_asked_for() {
    let url = server(|stream| echo(stream, |_, bytes| bytes.fill(0)));
    let report = report(&[&url, "--verify", "length", "--in-flight", "4"]);
    assert_eq!((report.number("/messages/verified"), report.number("/verification/length")), (600.0, 600.0));
}

#[test]
fn a_foreign_echo_server_in_pieces_and_pauses_is_one_too() {
    let url = server(|stream| {
        let mut behind = stream.try_clone()?;
        stream.set_nodelay(true)?;
        echo(stream, |before, bytes| {
            // The first bytes come apart from the others.
            let first = bytes.remove(0);
            behind.write_all(&[first]).unwrap();
            if before % 50 == 0 {
                thread::sleep(Duration::from_millis(1));
            }
        })
    });
    assert_eq!(report(&[&url, "--size", "2..200", "--in-flight", "5"]).number("/messages/verified"), 600.0);
}

#[test]
fn python_echoes_too() {
    const ECHO: &str = "import socket, sys, threading
def echo(connection):
    while data := connection.recv(65536):
        connection.sendall(data)
listener = socket.create_server(('127.0.0.1', int(sys.argv[1])))
print(f'listening on tcp://127.0.0.1:{listener.getsockname()[1]}', flush=True)
while True:
    threading.Thread(target=echo, args=(listener.accept()[0],), daemon=True).start()";
    let python = Command::new("python3").arg("--version").stdout(Stdio::null()).status();
    assert!(python.is_ok_and(|status| status.success()), "python3 is needed, as scripts/setup installs it");
    let command = shell_words::join(["python3", "-c", ECHO, "{port}"]);
    let report = report(&["--server", &command]);
    assert_eq!(report.number("/messages/verified"), 600.0);
}

#[test]
fn wrong_bytes_are_corrupted_messages() {
    let url = server(|stream| {
        echo(stream, |before, bytes| {
            // Byte 5 of the 3rd message, and of no other.
            let at = (2 * 64_usize + 5).checked_sub(before);
            if let Some(byte) = at.and_then(|at| bytes.get_mut(at)) {
                *byte ^= 0xff;
            }
        })
    });
    let finished = run(&[&url]);
    assert_eq!(finished.code, Some(1), "{}", finished.stderr);
    // One on each connection.
    assert!(finished.stdout.contains("corrupted: 3"), "{}", finished.stdout);
    assert!(finished.stdout.contains("597 verified"), "{}", finished.stdout);
}

#[test]
fn too_many_bytes_end_the_connection_and_too_few_are_lost() {
    let url = server(|stream| echo(stream, |_, bytes| bytes.push(b'!')));
    let finished = run(&[&url]);
    assert_eq!(finished.code, Some(1), "{}", finished.stderr);
    let all = finished.stdout + &finished.stderr;
    assert!(all.contains("the server sent more bytes than it was sent"), "{all}");
    let url = server(|stream| echo(stream, |_, bytes| bytes.truncate(bytes.len() - 1)));
    let finished = run(&[&url, "--drain-timeout", "300ms"]);
    assert_eq!(finished.code, Some(1), "{}", finished.stderr);
    assert!(finished.stdout.contains("lost: "), "{}", finished.stdout);
}

#[test]
fn a_server_that_closes_is_told_of() {
    let url = server(|mut stream| stream.read(&mut [0; 1]).map(drop));
    let finished = run(&[&url]);
    assert_eq!(finished.code, Some(1), "{}", finished.stderr);
    let all = finished.stdout + &finished.stderr;
    assert!(all.contains("closed by the server") || all.contains("receiving: Connection reset"), "{all}");
}

#[test]
fn what_is_for_websocket_is_refused_by_its_flag() {
    let command = shell_words::join(["sh", "-c", "echo listening on tcp://127.0.0.1:$1; exec sleep 60", "-", "{port}"]);
    for (flags, flag) in [
        (&["-H", "a: b"][..], "--header is for WebSocket"),
        (&["--subprotocol", "chat"], "--subprotocol is for WebSocket"),
        (&["--permessage-deflate"], "--permessage-deflate is for WebSocket"),
        (&["--expect", "template:<{}>"], "--expect template or order is for WebSocket"),
        (&["--expect", "order"], "--expect template or order is for WebSocket"),
        (&["--skip-messages", "1"], "--skip-messages is for WebSocket"),
        (&["--size", "0"], "--size 0: nothing comes back"),
        (&["--size", "0..9"], "--size 0: nothing comes back"),
    ] {
        // Known from the arguments, or once the server has said where it listens.
        for (server, code) in
            [(&["tcp://127.0.0.1:1"][..], 2), (&["--server", LISTEN], 2), (&["--server", &command], 1)]
        {
            let finished = run(&[server, flags].concat());
            assert_eq!(finished.code, Some(code), "{server:?} {flags:?}: {}", finished.stderr);
            assert!(finished.stderr.contains(flag), "{server:?} {flags:?}: {}", finished.stderr);
        }
    }
    let empty = std::env::temp_dir().join(format!("loadgen-tcp-empty-{}", std::process::id()));
    std::fs::write(&empty, "").unwrap();
    let finished = run(&["--server", LISTEN, "--payload", empty.to_str().unwrap()]);
    std::fs::remove_file(&empty).unwrap();
    assert_eq!(finished.code, Some(1), "{}", finished.stderr);
    assert!(finished.stderr.contains("--payload: the file is empty"), "{}", finished.stderr);
}

#[test]
fn a_comparison_tells_what_websocket_costs() {
    let short = ["--trial", "100ms", "--max-time", "3s", "-c", "4", "--format", "json", "--force", "-q"];
    let finished = loadgen(&[&["compare", "--a", "", "--b", LISTEN][..], &short].concat()).wait();
    let compared = comparison(&finished, 0);
    let document = serde_json::to_value(&compared).unwrap();
    binary::assert_valid(&document);
    assert!(document.to_string().contains(LISTEN), "{document}");
}

#[test]
fn sweeps_and_capacities_are_of_tcp_too() {
    let flags = ["sweep", "--server", LISTEN, "--vary", "threads=1,2", "--format", "json", "--force", "-q", "-c", "4"];
    let finished = loadgen(&[&flags[..], &["--trial", "100ms", "--max-time", "4s"]].concat()).wait();
    assert!(matches!(finished.code, Some(0 | 98)), "{:?}: {}", finished.code, finished.stderr);
    let sweep: Sweep = serde_json::from_str(&finished.stdout).expect("a sweep");
    assert_eq!(sweep.arms.len(), 2);
    for arm in &sweep.arms {
        assert!(arm.target.contains(LISTEN) && arm.messages.verified > 0, "{}: {:?}", arm.target, arm.messages);
    }
    // It holds 200 messages a second, above which nothing is asked for.
    let flags = ["capacity", "--server", LISTEN, "--min-rate", "100", "--max-rate", "200", "-c", "4", "-q"];
    let quick = ["--slo", "latency.p90<500ms", "--max-time", "20s", "--warmup", "0s", "--probe", "300ms"];
    let finished = loadgen(&[&flags[..], &quick, &["--format", "json"]].concat()).wait();
    assert_eq!(finished.code, Some(97), "{}", finished.stderr);
    let report = Json(serde_json::from_str(&finished.stdout).expect("a capacity"));
    assert!(report.0["target"].as_str().unwrap().contains(LISTEN), "{}", report.0["target"]);
}

#[test]
fn connections_are_held_without_a_message() {
    let held = ["connections", "--server", LISTEN, "-n", "40", "--hold", "200ms", "--steps", "2", "--storm"];
    let finished = loadgen(&[&held[..], &["--format", "json", "-q"]].concat()).wait();
    assert!(matches!(finished.code, Some(0 | 98)), "{:?}: {}", finished.code, finished.stderr);
}
