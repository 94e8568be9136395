//! Comparisons, held connections, fan-outs and servers that are started, over TLS.

use std::collections::HashMap;
use std::fs;

use crate::authority::Authority;
use crate::binary::{self, EmbeddedServer, comparison, converted, loadgen};
use crate::secure::{before, echo_server};
use crate::{report, run, said};

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
    // Connections are made anew with every start.
    assert_eq!(document["a"]["tls"], serde_json::Value::Null);
    let settled = &document["b"]["tls"]["settled"];
    assert_eq!(
        (&settled[0]["version"], &settled[0]["resumed"], settled[1].is_null()),
        (&"1.3".into(), &0.into(), true)
    );
    assert_eq!(settled[0]["connections"], 2 * compared.starts.len() as u64);
    assert_eq!(document["b"]["tls"]["handshake"]["count"], settled[0]["connections"]);
    let noted = serde_json::to_value(comparison(&with(&["--insecure"]), 0)).unwrap().to_string();
    assert!(noted.contains("certificates were not checked"), "{noted}");
}

#[test]
fn a_comparison_says_what_tls_settled_in_every_format_and_adds_up_when_it_goes_on() {
    let authority = Authority::new();
    let plain = EmbeddedServer::start(&[]);
    let secure = before(authority.leaf().config(), &plain.url);
    let (first, second) = (scratch("first"), scratch("second"));
    let servers = ["compare", "--a", &plain.url, "--b", &secure, "--cacert", authority.file(), "--gate", "throughput"];
    // Too short for a verdict at this alpha, so that there is something to go on with.
    let short =
        ["--trial", "100ms", "--max-time", "2s", "--alpha", "0.01%", "--attempts", "2", "-c", "3", "--force", "-q"];
    let with = |flags: &[&str]| loadgen(&[&servers[..], &short, flags].concat()).wait();
    let settled = |file: &str| {
        let document: serde_json::Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        let starts = document["starts"].as_array().unwrap().len() as u64;
        let connections = document["b"]["tls"]["settled"][0]["connections"].as_u64();
        assert_eq!((connections, &document["a"]["tls"]), (Some(3 * starts), &serde_json::Value::Null));
        starts
    };
    let finished = with(&["-o", &first]);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let before = settled(&first);
    let finished = with(&["--resume", &first, "-o", &second]);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!(settled(&second) > before);
    let suite = "TLS_AES_256_GCM_SHA384";
    for (format, words) in [
        ("text", &format!("B: TLS 1.3, {suite} on ")),
        ("markdown", &format!("- B: TLS 1.3, {suite} on ").replace('_', "\\_")),
        ("html", &format!("B: TLS 1.3, {suite} on ")),
        (
            "openmetrics",
            &format!("tls_connections{{side=\"b\",version=\"1.3\",cipher_suite=\"{suite}\",resumed=\"false\"}} "),
        ),
    ] {
        let made = converted(&second, format).stdout;
        assert!(made.contains(words.as_str()), "{format}: expected {words} in {made}");
        assert!(format == "openmetrics" || made.contains("A: without TLS"), "{format}: {made}");
    }
    // A histogram that cannot be read would be lost in the sum.
    let damaged = fs::read_to_string(&first).unwrap();
    let mut damaged: serde_json::Value = serde_json::from_str(&damaged).unwrap();
    damaged["b"]["tls"]["handshake"]["histogram"] = "HISTnone".into();
    fs::write(&first, damaged.to_string()).unwrap();
    let refused = with(&["--resume", &first, "-o", &second]);
    assert!(refused.code == Some(2) && refused.stderr.contains("b.tls.handshake"), "{}", refused.stderr);
    [first, second].iter().for_each(|file| fs::remove_file(file).unwrap());
}

#[test]
fn a_sweep_says_what_tls_settled_once_or_of_each_combination() {
    let authority = Authority::new();
    let url = echo_server(authority.leaf().config());
    let file = scratch("sweep");
    let sweep =
        ["sweep", "--server", &url, "--cacert", authority.file(), "-c", "2", "--trial", "100ms", "--max-time", "3s"];
    let swept = |vary: &str| {
        let finished = loadgen(&[&sweep[..], &["--vary-load", vary, "--force", "-q", "-o", &file]].concat()).wait();
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        let document: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let starts = document["starts"].as_u64().unwrap();
        let arms = document["arms"].as_array().unwrap().clone();
        for arm in &arms {
            assert_eq!(arm["tls"]["settled"][0]["connections"], 2 * starts, "{}", arm["tls"]);
            assert_eq!((arm["tls"]["certificates_checked"] == true, arm["tls"]["resumed"] == 0), (true, true));
        }
        let versions: Vec<_> = arms.iter().map(|arm| arm["tls"]["settled"][0]["version"].clone()).collect();
        (versions, said(&finished), starts)
    };
    let (versions, said, _) = swept("tls-versions=1.2,1.3");
    assert_eq!(versions, ["1.2", "1.3"]);
    for (line, suite) in [("tls-versions=1.2: TLS 1.2", "TLS_ECDHE_ECDSA_"), ("tls-versions=1.3: TLS 1.3", "TLS_AES_")]
    {
        assert!(said.contains(&format!("{line}, {suite}")), "{said}");
    }
    let made = converted(&file, "openmetrics").stdout;
    assert!(made.contains("fathom_sweep_tls_connections{combination=\"tls-versions=1.2\",version=\"1.2\""), "{made}");
    assert!(converted(&file, "html").stdout.contains("tls-versions=1.2: TLS 1.2"));
    let (versions, said, starts) = swept("in-flight=1,2");
    assert_eq!(versions, ["1.3", "1.3"]);
    let once = format!("tls TLS 1.3, TLS_AES_256_GCM_SHA384 on {} connections; 0 resumed", 4 * starts);
    assert!(said.contains(&once), "{said}");
    fs::remove_file(&file).unwrap();
}

#[test]
fn a_capacity_says_what_tls_settled() {
    let authority = Authority::new();
    let mut config = authority.leaf().config();
    config.ticketer = rustls::crypto::ring::Ticketer::new().unwrap();
    let url = echo_server(config);
    let file = scratch("capacity");
    let search =
        ["capacity", &url, "--cacert", authority.file(), "-c", "4", "--slo", "latency.p50<4s", "--min-rate", "20"];
    let short =
        ["--max-rate", "50", "--probe", "200ms", "--holdout", "1", "--tls-resume", "on", "--tls-versions", "1.2"];
    let finished = loadgen(&[&search[..], &short, &["--warmup", "100ms", "-q", "-o", &file]].concat()).wait();
    assert!(matches!(finished.code, Some(0 | 96..=98)), "{:?}: {}", finished.code, finished.stderr);
    let document: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let settled = &document["tls"]["settled"][0];
    assert_eq!((&settled["version"], &settled["connections"]), (&"1.2".into(), &8.into()), "{document}");
    assert_eq!(document["tls"]["resumption"], true);
    assert_eq!(document["tls"]["handshake"]["count"], 8);
    let said = said(&finished);
    assert!(said.contains("tls TLS 1.2, TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 on 8 connections"), "{said}");
    assert!(converted(&file, "html").stdout.contains("on 8 connections"));
    assert!(converted(&file, "openmetrics").stdout.contains("fathom_capacity_tls_connections{version=\"1.2\""));
    fs::remove_file(&file).unwrap();
}

#[test]
fn tables_and_metrics_of_a_run_have_what_tls_settled() {
    let authority = Authority::new();
    let url = echo_server(authority.leaf().config());
    let file = scratch("run");
    let finished = run(&[&url, "--cacert", authority.file(), "-o", &file]);
    assert!(matches!(finished.code, Some(0 | 98)), "{}", finished.stderr);
    let table = converted(&file, "csv").stdout;
    let row: Vec<HashMap<String, String>> =
        csv::Reader::from_reader(table.as_bytes()).deserialize().map(Result::unwrap).collect();
    let cells = ["tls_version", "tls_cipher_suite", "tls_resumed_share"].map(|name| row[0][name].as_str());
    assert_eq!(cells, ["1.3", "TLS_AES_256_GCM_SHA384", "0"]);
    let made = converted(&file, "openmetrics").stdout;
    let labels = "version=\"1.3\",cipher_suite=\"TLS_AES_256_GCM_SHA384\",resumed=";
    for (resumed, connections) in [("false", 3), ("true", 0)] {
        let sample = format!("{labels}\"{resumed}\"}} {connections}");
        let named = made.lines().filter(|line| line.starts_with("fathom_tls_connections{run="));
        assert_eq!(named.filter(|line| line.contains(&sample)).count(), 1, "{sample} in {made}");
    }
    fs::remove_file(&file).unwrap();
    let plain = EmbeddedServer::start(&[]);
    let finished = run(&[&plain.url, "--format", "openmetrics"]);
    assert!(!finished.stdout.contains("tls_connections"), "{}", finished.stdout);
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
fn a_baseline_that_spoke_tls_otherwise_is_compared_with_and_told_of() {
    let authority = Authority::new();
    let url = echo_server(authority.leaf().config());
    let directory = tempfile::tempdir().unwrap();
    let saved = directory.path().join("newer.json");
    let flags = [url.as_str(), "--cacert", authority.file(), "--messages", "100", "-c", "2"];
    let run_with = |more: &[&str]| run(&[&flags[..], more].concat());
    let first = run_with(&["--tls-versions", "1.3", "-o", saved.to_str().unwrap()]);
    assert!(matches!(first.code, Some(0 | 98)), "{}", first.stderr);
    let second = run_with(&["--tls-versions", "1.2", "--baseline", saved.to_str().unwrap()]);
    assert!(matches!(second.code, Some(0 | 98)), "{}", second.stderr);
    let said = said(&second);
    assert!(said.contains("spoke TLS otherwise: plan.connect.tls.versions"), "{said}");
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
        let disturbed = ["--trickle", "50ms", "--churn", "20", "--storm"];
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

/// A file of this test process's own.
fn scratch(name: &str) -> String {
    format!("{}/tls-{}-{name}.json", env!("CARGO_TARGET_TMPDIR"), std::process::id())
}
