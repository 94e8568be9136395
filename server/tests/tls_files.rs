//! Certificates, keys and authorities of TLS: what is refused at the start, what is asked of clients, and how files are replaced
//! while the server runs.

#[path = "support/skipped.rs"]
mod skipped;
mod support;
#[path = "support/tls.rs"]
mod tls;

use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme};
use skipped::skipped;
use support::{PATIENCE, Server};
use tls::{Authority, Files, Setting, echoed, upgrade};

const WSS: [&str; 2] = ["--listen", "wss://127.0.0.1:0"];

/// The exit code and stderr of a server that does not start.
fn refused(flags: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_echo-server")).args(flags).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn files_that_cannot_be_used_are_refused_at_the_start_with_the_reason() {
    let authority = Authority::new();
    let (good, other) = (authority.issue("good"), authority.issue("other"));
    let in_year = |year: i32| {
        move |params: &mut rcgen::CertificateParams| {
            (params.not_before, params.not_after) =
                (rcgen::date_time_ymd(year, 1, 1), rcgen::date_time_ymd(year, 12, 31));
        }
    };
    let (old, young) = (authority.issue_as("old", in_year(2001)), authority.issue_as("young", in_year(3001)));
    let garbage = authority.folder().join("garbage.pem");
    std::fs::write(&garbage, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    let empty = authority.folder().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let missing = authority.folder().join("missing.pem");
    let pair = |chain: &Path, key: &Path| {
        ["--tls-cert", chain.to_str().unwrap(), "--tls-key", key.to_str().unwrap()].map(String::from).to_vec()
    };
    let with_ca = |file: &Path| {
        [pair(&good.chain, &good.key), vec!["--tls-client-ca".into(), file.to_str().unwrap().into()]].concat()
    };
    for (flags, flag, file, reason) in [
        (pair(&missing, &good.key), "--tls-cert", &missing, "No such file"),
        (pair(&good.chain, &missing), "--tls-key", &missing, "No such file"),
        (pair(&empty, &good.key), "--tls-cert", &empty, "no certificate is in it"),
        (pair(&garbage, &good.key), "--tls-cert", &garbage, "certificate 1 in it cannot be read"),
        (pair(&good.chain, &good.chain), "--tls-key", &good.chain, "no private key is in it"),
        (pair(&good.chain, &other.key), "--tls-key", &other.key, "it is not the key of the certificate in"),
        (pair(&old.chain, &old.key), "--tls-cert", &old.chain, "has expired on Mon, 31 Dec 2001"),
        (pair(&young.chain, &young.key), "--tls-cert", &young.chain, "is not valid before Thu, 01 Jan 3001"),
        (with_ca(&missing), "--tls-client-ca", &missing, "No such file"),
        (with_ca(&empty), "--tls-client-ca", &empty, "no certificate is in it"),
        (with_ca(&old.chain), "--tls-client-ca", &old.chain, "has expired"),
    ] {
        let flags: Vec<&str> = WSS.into_iter().chain(flags.iter().map(String::as_str)).collect();
        let (code, stderr) = refused(&flags);
        let expected = format!("error: {flag} {}: ", file.display());
        assert!(code == Some(1) && stderr.starts_with(&expected) && stderr.contains(reason), "{code:?} {stderr}");
    }
}

#[test]
fn a_chain_is_shown_as_it_is_in_the_file_whatever_kind_of_key_it_has() {
    let openssl = |arguments: &[&str]| Command::new("openssl").args(arguments).output();
    if openssl(&["version"]).is_err() {
        return skipped("there is no openssl to make other kinds of keys with");
    }
    let authority = Authority::new();
    let between = authority.between();
    let [made, key, chain] = ["made.key", "other.key", "other.crt"].map(|name| authority.folder().join(name));
    // As openssl writes them by itself, and in the forms of former times.
    for (generate, form) in [
        ("-algorithm RSA -pkeyopt rsa_keygen_bits:2048", "pkey"),
        ("-algorithm RSA -pkeyopt rsa_keygen_bits:2048", "rsa -traditional"),
        ("-algorithm EC -pkeyopt ec_paramgen_curve:P-384", "ec"),
        ("-algorithm ED25519", "pkey"),
    ] {
        let run = |line: &str| {
            let output = openssl(&line.split(' ').collect::<Vec<_>>()).unwrap();
            assert!(output.status.success(), "openssl {line}: {}", String::from_utf8_lossy(&output.stderr));
        };
        run(&format!("genpkey {generate} -out {}", made.display()));
        run(&format!("{form} -in {} -out {}", made.display(), key.display()));
        let signing = format!("-CA {} -CAkey {}", between.chain.display(), between.key.display());
        let names = "-addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE";
        run(&format!("req -x509 -new -key {} -subj /CN=x {signing} {names} -out {}", key.display(), chain.display()));
        let leaf = std::fs::read_to_string(&chain).unwrap();
        std::fs::write(&chain, leaf + &std::fs::read_to_string(&between.chain).unwrap()).unwrap();
        let files = Files { chain: chain.clone(), key: key.clone() };
        let server = Server::start(&files.flags());
        let client = Arc::new(authority.client(rustls::ALL_VERSIONS));
        let connection = ClientConnection::new(client, "localhost".try_into().unwrap()).unwrap();
        let stream = Server::stream_to(server.tls_port.unwrap());
        let mut client = upgrade(rustls::StreamOwned::new(connection, stream), "");
        echoed(&mut client, b"message");
        assert_eq!(client.stream.conn.peer_certificates().unwrap().len(), 2, "{generate}");
    }
}

#[test]
fn files_of_unknown_kinds_are_refused_in_plain_words() {
    let authority = Authority::new();
    let good = authority.issue("good");
    let [key, chain] = ["unknown.key", "unknown.crt"].map(|name| authority.folder().join(name));
    let said = |chain: &Path, key: &Path, flag: &str, file: &Path, reason: &str| {
        let [chain, key] = [chain, key].map(|path| path.to_str().unwrap());
        let (code, stderr) = refused(&[&WSS[..], &["--tls-cert", chain, "--tls-key", key]].concat());
        let expected = format!("error: {flag} {}: {reason}", file.display());
        assert!(code == Some(1) && stderr.starts_with(&expected), "{code:?} {stderr}");
    };
    std::fs::write(&chain, "-----BEGIN CERTIFICATE-----\nAAAA\n").unwrap();
    said(&chain, &good.key, "--tls-cert", &chain, "it is no PEM: it has no line -----END CERTIFICATE-----");
    std::fs::write(&chain, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    said(&chain, &good.key, "--tls-cert", &chain, "certificate 1 in it cannot be read: its bytes are no X.509");
    let openssl = |arguments: &[&str]| Command::new("openssl").args(arguments).output();
    if openssl(&["version"]).is_err() {
        return skipped("there is no openssl to make other kinds of keys with");
    }
    let run = |line: &str| {
        let output = openssl(&line.split(' ').collect::<Vec<_>>()).unwrap();
        assert!(output.status.success(), "openssl {line}: {}", String::from_utf8_lossy(&output.stderr));
    };
    for generate in [
        "-algorithm RSA -pkeyopt rsa_keygen_bits:1024",
        "-algorithm EC -pkeyopt ec_paramgen_curve:P-521",
        "-algorithm ED448",
    ] {
        run(&format!("genpkey {generate} -out {}", key.display()));
        run(&format!("req -x509 -new -key {} -subj /CN=x -out {}", key.display(), chain.display()));
        said(&chain, &key, "--tls-key", &key, "its kind of key is not taken, or it is damaged; expected RSA of 2048");
    }
    // Without extensions, openssl makes certificates of version 1.
    let request = authority.folder().join("request");
    let (key, chain, request) = (key.display(), chain.display(), request.display());
    run(&format!("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out {key}"));
    run(&format!("req -new -key {key} -subj /CN=x -out {request}"));
    run(&format!("x509 -req -in {request} -signkey {key} -out {chain}"));
    let (key, chain) = (authority.folder().join("unknown.key"), authority.folder().join("unknown.crt"));
    let reason = "certificate 1 in it cannot be read: it is of X.509 version 1 or 2; expected version 3";
    said(&chain, &key, "--tls-cert", &chain, reason);
}

#[test]
fn flags_that_do_not_go_together_are_refused() {
    let authority = Authority::new();
    let good = authority.issue("good");
    let (chain, key) = (good.chain.to_str().unwrap(), good.key.to_str().unwrap());
    for (flags, expected) in [
        (&WSS[..], "--listen wss://127.0.0.1:0 needs --tls-cert and --tls-key, or --tls-self-signed"),
        (&["--tls-self-signed"], "--tls-self-signed is for TLS, and no --listen is for wss://"),
        (&["--tls-cert", chain, "--tls-key", key], "--tls-cert is for TLS, and no --listen is for wss://"),
        (&["--tls-client-ca", chain], "--tls-client-ca is for TLS, and no --listen is for wss://"),
        (&["--tls-tickets", "1"], "--tls-tickets is for TLS, and no --listen is for wss://"),
        (&["--tls-cert", chain], "--tls-key <FILE>"),
        (&["--tls-key", key], "--tls-cert <FILE>"),
        (&["--tls-self-signed", "--tls-cert", chain, "--tls-key", key], "cannot be used with"),
        (&["--tls-tickets", "17"], "--tls-tickets"),
    ] {
        let (code, stderr) = refused(flags);
        assert!(code == Some(2) && stderr.contains(expected), "{flags:?}: {code:?} {stderr}");
    }
}

#[test]
fn clients_show_certificates_where_they_must() {
    let authority = Authority::new();
    let (server, member) = (authority.issue("server"), authority.issue("member"));
    let strangers = Authority::new();
    let stranger = strangers.issue("stranger");
    let ca = authority.file();
    let flags = [&server.flags()[..], &["--tls-client-ca", ca.to_str().unwrap()]].concat();
    let setting = Setting {
        server: Server::start(&flags),
        files: server,
        client: Arc::new(authority.client(rustls::ALL_VERSIONS)),
        authority,
    };
    for version in [&TLS12, &TLS13] {
        let asked = |config: ClientConfig| {
            let mut stream = setting.tls_with(&Arc::new(config));
            let mut answer = String::new();
            stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
            stream.read_to_string(&mut answer).map(|_| answer)
        };
        let good = asked(setting.authority.client_with(&[version], &member)).unwrap();
        assert!(good.ends_with("ok\n"), "{good}");
        let none = asked(setting.authority.client(&[version])).unwrap_err().to_string();
        assert!(none.contains("CertificateRequired") || none.contains("HandshakeFailure"), "{none}");
        let wrong = asked(setting.authority.client_with(&[version], &stranger)).unwrap_err().to_string();
        assert!(wrong.contains("UnknownCA") || wrong.contains("DecryptError"), "{wrong}");
    }
}

#[test]
fn a_certificate_of_its_own_is_for_localhost_and_the_addresses() {
    let server = Server::start(&[&WSS[..], &["--tls-self-signed"]].concat());
    let connect = |config: ClientConfig, name: &'static str| {
        let connection = ClientConnection::new(Arc::new(config), name.try_into().unwrap()).unwrap();
        rustls::StreamOwned::new(connection, Server::stream_to(server.tls_port.unwrap()))
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        || ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().unwrap();
    let anybody = builder().dangerous().with_custom_certificate_verifier(Arc::new(Anybody)).with_no_client_auth();
    let mut first = upgrade(connect(anybody, "localhost"), "");
    echoed(&mut first, b"message");
    let shown = first.stream.conn.peer_certificates().unwrap()[0].clone();
    for name in ["localhost", "127.0.0.1"] {
        let mut roots = RootCertStore::empty();
        roots.add(shown.clone()).unwrap();
        let config = builder().with_root_certificates(roots).with_no_client_auth();
        echoed(&mut upgrade(connect(config, name), ""), b"message");
    }
}

#[test]
fn files_are_replaced_under_load_without_a_failure() {
    let setting = Setting::with_log(&["--threads", "2"]);
    let mut old = setting.connect();
    echoed(&mut old, b"message");
    let shown = |setting: &Setting| {
        let mut client = setting.connect();
        echoed(&mut client, b"message");
        client.stream.conn.peer_certificates().unwrap()[0].clone()
    };
    let (done, served) = (AtomicBool::new(false), AtomicU32::new(0));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    shown(&setting);
                    served.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let _done = SetOnDrop(&done);
        let mut before = shown(&setting);
        for (name, told) in [("second", true), ("third", false), ("fourth", true)] {
            setting.files.replace_by(&setting.authority.issue(name));
            if told {
                setting.server.signal(Signal::HUP);
            }
            before = until_other(&before, || shown(&setting));
            echoed(&mut old, b"message");
        }
    });
    assert!(served.load(Ordering::Relaxed) > 0);
    let mut resumed = setting.authority.client(rustls::ALL_VERSIONS);
    resumed.resumption = Resumption::in_memory_sessions(8);
    let resumed = Arc::new(resumed);
    (0..3).for_each(|_| echoed(&mut upgrade(setting.tls_with(&resumed), ""), b"message"));
}

#[test]
fn files_that_cannot_be_used_later_are_logged_and_the_former_ones_stay() {
    let setting = Setting::with_log(&[]);
    echoed(&mut setting.connect(), b"message");
    let other = setting.authority.issue("other");
    std::fs::rename(&other.key, &setting.files.key).unwrap();
    setting.server.signal(Signal::HUP);
    // The signal is served by another thread than connections: it has been once the log says so.
    let Setting { authority, files: Files { chain, key }, mut server, client } = setting;
    let stderr = server.child.stderr.take().unwrap();
    let mut log = String::new();
    let mut lines = std::io::BufReader::new(stderr);
    while !log.contains("the former ones stay in use") {
        assert!(std::io::BufRead::read_line(&mut lines, &mut log).unwrap() > 0, "{log}");
    }
    let expected = format!("--tls-key {}: it is not the key of the certificate in {}", key.display(), chain.display());
    assert!(log.contains(&expected), "{log}");
    let setting = Setting { authority, files: Files { chain, key }, server, client };
    echoed(&mut setting.connect(), b"message");
}

#[test]
fn a_certificate_of_its_own_is_not_read_again() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_echo-server"));
    let mut server = Server::spawn(command.args(WSS).arg("--tls-self-signed"));
    server.signal(Signal::HUP);
    let mut line = String::new();
    let mut lines = std::io::BufReader::new(server.child.stderr.take().unwrap());
    while !line.contains("TLS files") {
        line.clear();
        assert!(std::io::BufRead::read_line(&mut lines, &mut line).unwrap() > 0, "the log says nothing of it");
    }
    assert!(line.contains("no TLS files are read: there are none with --tls-self-signed"), "{line}");
}

/// Waits until a certificate is shown that is not this one.
fn until_other(
    before: &CertificateDer<'static>,
    mut shown: impl FnMut() -> CertificateDer<'static>,
) -> CertificateDer<'static> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let now = shown();
        if now != *before {
            return now;
        }
        assert!(Instant::now() < deadline, "the certificate stays the same");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Ends the load also where the test fails.
struct SetOnDrop<'b>(&'b AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A client that takes any certificate, to be shown one.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
