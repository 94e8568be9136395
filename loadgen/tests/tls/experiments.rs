//! Comparisons, held connections, fan-outs and servers that are started, over TLS.

use std::fs;

use crate::authority::Authority;
use crate::binary::{self, EmbeddedServer, comparison, converted, loadgen};
use crate::secure::{before, echo_server};
use crate::{report, run};

#[test]
fn a_comparison_tells_what_tls_costs() {
    let authority = Authority::new();
    let plain = EmbeddedServer::start(&[]);
    let secure = before(authority.leaf().config(), &plain.url);
    let short = ["--trial", "100ms", "--max-time", "4s", "-c", "2", "--format", "json", "--force", "-q"];
    let servers = ["compare", "--a", &plain.url, "--b", &secure, "--gate", "throughput"];
    let with = |flags: &[&str]| loadgen(&[&servers[..], &short, flags].concat()).wait();
    let compared = comparison(&with(&["--cacert", authority.file()]), 0);
    let document = serde_json::to_value(&compared).unwrap();
    binary::assert_valid(&document);
    assert!(document.to_string().contains("wss://localhost:"), "{document}");
    let noted = serde_json::to_value(comparison(&with(&["--insecure"]), 0)).unwrap().to_string();
    assert!(noted.contains("certificates were not checked"), "{noted}");
}

#[test]
fn a_run_is_compared_with_a_baseline_without_tls() {
    let authority = Authority::new();
    let plain = EmbeddedServer::start(&[]);
    let secure = echo_server(authority.leaf().config());
    let directory = tempfile::tempdir().unwrap();
    let saved = directory.path().join("ws.json");
    let saved = saved.to_str().unwrap();
    let short = ["--messages", "100", "-c", "2"];
    let first = run(&[&[plain.url.as_str(), "-o", saved], &short[..]].concat());
    assert!(matches!(first.code, Some(0 | 98)), "{}", first.stderr);
    let second = report(&[&[secure.as_str(), "--cacert", authority.file(), "--baseline", saved], &short[..]].concat());
    assert_eq!(second.0["baseline"]["target"].as_str().map(|target| target.starts_with("ws://")), Some(true));
}

#[test]
fn the_handshake_of_held_connections_is_told_in_its_parts() {
    let authority = Authority::new();
    let url = echo_server(authority.leaf().config());
    let held = ["connections", &url, "--cacert", authority.file(), "-n", "20", "--hold", "200ms", "--steps", "2"];
    let more = ["--trickle", "50ms", "--storm", "--tls-resume", "on", "--threshold", "tls.p50<10s", "-q"];
    let finished = loadgen(&[&held[..], &more, &["--format", "json"]].concat()).wait();
    assert!(matches!(finished.code, Some(0 | 98)), "{:?}: {}{}", finished.code, finished.stdout, finished.stderr);
    let document: serde_json::Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!(document["tls"]["handshake"]["count"], 20, "{document}");
    assert_eq!(document["thresholds"][0]["outcome"], "met", "{}", document["thresholds"]);
    assert_eq!(document["storm"]["failed"], 0, "{}", document["storm"]);
    let finished = loadgen(&[&held[..], &["-q"]].concat()).wait();
    assert!(finished.stdout.contains("of it TLS") && finished.stdout.contains("TLS 1.3"), "{}", finished.stdout);
}

#[test]
fn every_client_that_returns_has_a_session_to_resume() {
    let authority = Authority::new();
    let plain = EmbeddedServer::start(&[]);
    let directory = tempfile::tempdir().unwrap();
    for version in ["1.2", "1.3"] {
        let mut config = authority.leaf().config();
        config.ticketer = rustls::crypto::ring::Ticketer::new().unwrap();
        // A ticket for each connection and none to spare: one that a client used while the others connect would be missing.
        config.send_tls13_tickets = 1;
        let url = before(config, &plain.url);
        let held = ["connections", &url, "--cacert", authority.file(), "-n", "20", "--hold", "200ms", "--steps", "2"];
        let over = ["--tls-versions", version, "--tls-resume", "on", "--ping", "50ms"];
        let disturbed = ["--trickle", "50ms", "--churn", "100", "--storm"];
        let finished = loadgen(&[&held[..], &over, &disturbed, &["--format", "json", "-q"]].concat()).wait();
        assert!(matches!(finished.code, Some(0 | 98)), "{:?}: {}{}", finished.code, finished.stdout, finished.stderr);
        let document: serde_json::Value = serde_json::from_str(&finished.stdout).unwrap();
        assert_eq!(
            (&document["tls"]["resumed"], document["tls"]["handshake"]["count"].as_u64()),
            (&0.into(), Some(20))
        );
        let (churn, storm) = (&document["churn"], &document["storm"]);
        assert!(churn["opened"].as_u64().unwrap() > 0, "{churn}");
        assert_eq!(
            (&churn["tls"]["resumed"], &churn["tls"]["handshake"]["count"]),
            (&churn["opened"], &churn["opened"])
        );
        assert_eq!((&storm["back"], &storm["tls"]["resumed"]), (&20.into(), &20.into()), "{storm}");
        assert_eq!(storm["tls"]["settled"][0]["version"], version, "{storm}");
        assert_eq!(document["hold"]["pings"]["unanswered"], 0, "{}", document["hold"]);
        let saved = directory.path().join(version);
        fs::write(&saved, finished.stdout).unwrap();
        let told = converted(saved.to_str().unwrap(), "text").stdout;
        assert!(told.contains("20 of 20 resumed a session of TLS"), "{told}");
    }
}

#[test]
fn a_fan_out_reaches_everyone_over_tls() {
    let authority = Authority::new();
    let relay = EmbeddedServer::start(&["--relay", "others"]);
    let url = before(authority.leaf().config(), &relay.url);
    let fanout = ["fanout", &url, "--cacert", authority.file(), "--senders", "2", "--receivers", "6", "--rate", "50"];
    let rest = ["--duration", "1s", "--warmup", "0s", "--churn", "5", "--format", "json", "-q"];
    let finished = loadgen(&[&fanout[..], &rest].concat()).wait();
    assert!(matches!(finished.code, Some(0 | 98)), "{:?}: {}{}", finished.code, finished.stdout, finished.stderr);
    let document: serde_json::Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!(document["deliveries"]["lost"], 0, "{document}");
    assert!(document["deliveries"]["received"].as_u64().unwrap() > 100, "{document}");
    let churn = &document["churn"];
    assert!(churn["joined"].as_u64().unwrap() > 0, "{churn}");
    assert_eq!(
        (&churn["tls"]["handshake"]["count"], &churn["tls"]["resumed"]),
        (&churn["joined"], &0.into()),
        "{churn}"
    );
    assert_eq!(document["tls"]["handshake"]["count"], 8, "{document}");
}

#[test]
fn a_command_is_told_to_speak_tls_by_the_url_before_it() {
    const ECHO: &str = "import base64, hashlib, socket, ssl, sys, threading
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(sys.argv[2], sys.argv[3])
def echo(connection):
    with context.wrap_socket(connection, server_side=True) as tls:
        stream = tls.makefile('rwb')
        key = [line for line in iter(stream.readline, b'\\r\\n') if line.lower().startswith(b'sec-websocket-key')]
        key = key[0].split(b':')[1].strip() + b'258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
        accept = base64.b64encode(hashlib.sha1(key).digest())
        stream.write(b'HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n'
                     b'Sec-WebSocket-Accept: ' + accept + b'\\r\\n\\r\\n')
        stream.flush()
        while head := stream.read(2):
            if head[0] & 15 == 8:
                break
            length, mask = head[1] & 127, stream.read(4)
            payload = stream.read(length)
            stream.write(bytes([head[0], length]) + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload)))
            stream.flush()
listener = socket.create_server(('127.0.0.1', int(sys.argv[1])))
while True:
    threading.Thread(target=echo, args=(listener.accept()[0],), daemon=True).start()";
    let authority = Authority::new();
    let [cert, key] = authority.files("localhost");
    let command = shell_words::join(["python3", "-c", ECHO, "{port}", &cert, &key]);
    let spec = format!("wss://localhost:{{port}}/ {command}");
    let report = report(&["--server", &spec, "--cacert", authority.file()]);
    assert_eq!(report.number("/messages/verified"), 300.0);
    assert!(report.0["target"].as_str().unwrap().contains("at wss://localhost:"), "{}", report.0["target"]);
}
