//! Versions and ciphers of TLS that are spoken and that are not, and renegotiation, probed by Debian's openssl. What is not to be
//! spoken is asked of openssl's own server too, which speaks it: so the probe itself refuses nothing.

#[path = "support/skipped.rs"]
mod skipped;
mod support;
#[path = "support/tls.rs"]
mod tls;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use rustls::version::TLS12;
use skipped::skipped;
use support::{Server, frame};
use tls::{Authority, Files, Sealing, Setting, echoed, upgrade};
use wire::OpCode::Binary;

/// A kind of certificate, the names that OpenSSL gives to ciphers with it, and the classes of ciphers that it could be used with.
struct Kind {
    key: &'static str,
    good: &'static [&'static str],
    weak: &'static [&'static str],
}

const KINDS: [Kind; 2] = [
    Kind {
        key: "-algorithm EC -pkeyopt ec_paramgen_curve:P-256",
        good: &["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"],
        weak: &["aNULL", "eNULL", "SHA1", "SHA256:!AESGCM:!CHACHA20", "SHA384:!AESGCM", "AESCCM", "CAMELLIA", "ARIA"],
    },
    Kind {
        key: "-algorithm RSA -pkeyopt rsa_keygen_bits:2048",
        good: &["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-CHACHA20-POLY1305"],
        weak: &[
            "kRSA",
            "kDHE:!aNULL",
            "aNULL",
            "eNULL",
            "SHA1",
            "SHA256:!AESGCM:!CHACHA20",
            "SHA384:!AESGCM",
            "AESCCM",
            "CAMELLIA",
            "ARIA",
        ],
    },
];

/// The suites of TLS 1.3, and whether the server speaks each.
const SUITES: [(&str, bool); 5] = [
    ("TLS_AES_128_GCM_SHA256", true),
    ("TLS_AES_256_GCM_SHA384", true),
    ("TLS_CHACHA20_POLY1305_SHA256", true),
    ("TLS_AES_128_CCM_SHA256", false),
    ("TLS_AES_128_CCM_8_SHA256", false),
];

#[test]
fn nothing_older_than_tls_1_2_is_spoken_and_no_weak_cipher() {
    if Command::new("openssl").arg("version").output().is_err() {
        return skipped("there is no openssl to probe the server with");
    }
    let authority = Authority::new();
    for Kind { key, good, weak } in KINDS {
        let files = made(&authority, key);
        let server = Server::start(&files.flags());
        let willing = Willing::start(&files);
        let ours = |flags: &str| spoken(server.tls_port.unwrap(), flags);
        for cipher in good {
            assert_eq!(ours(&format!("-tls1_2 -cipher {cipher}")).as_deref(), Some(*cipher));
        }
        let old = ["-tls1_1 -cipher ALL:@SECLEVEL=0", "-tls1 -cipher ALL:@SECLEVEL=0"].map(str::to_owned);
        let weak = weak.iter().map(|class| format!("-tls1_2 -cipher {class}:@SECLEVEL=0"));
        for refused in old.into_iter().chain(weak) {
            assert!(spoken(willing.port, &refused).is_some(), "{refused} is not offered at all");
            assert_eq!(ours(&refused), None, "{refused}");
        }
        for (suite, is_spoken) in SUITES {
            let flags = format!("-tls1_3 -ciphersuites {suite}");
            assert_eq!(spoken(willing.port, &flags).as_deref(), Some(suite), "it is not offered at all");
            assert_eq!(ours(&flags).as_deref(), is_spoken.then_some(suite));
        }
    }
}

#[test]
fn a_client_that_renegotiates_is_told_no() {
    let setting = Setting::new(&[]);
    let mut command = Command::new("openssl");
    command.args(["s_client", "-tls1_2", "-connect", &format!("127.0.0.1:{}", setting.server.tls_port.unwrap())]);
    let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let Ok(mut client) = started else { return skipped("there is no openssl to renegotiate with") };
    let mut stdout = BufReader::new(client.stdout.take().unwrap());
    let mut line = String::new();
    // The last that it says of the handshake.
    while !line.contains("Extended master secret") {
        line.clear();
        assert!(stdout.read_line(&mut line).unwrap() > 0, "openssl has made no connection");
    }
    client.stdin.take().unwrap().write_all(b"R\n").unwrap();
    let mut said = String::new();
    client.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    client.wait().unwrap();
    assert!(said.contains("RENEGOTIATING") && said.contains("no renegotiation"), "{said}");
    echoed(&mut setting.connect(), b"somebody else");
}

/// OpenSSL gives up at the first refusal; another client may ask again.
#[test]
fn who_renegotiates_once_more_loses_the_connection() {
    for lane in ["on", "off"] {
        let mut setting = Setting::with_versions(&["--lane", lane], &[&TLS12]);
        let mut config = setting.authority.client(&[&TLS12]);
        config.enable_secret_extraction = true;
        setting.client = config.into();
        let mut client = upgrade(setting.tls(), "");
        echoed(&mut client, b"first");
        let (connection, mut socket) = client.stream.into_parts();
        let mut sealing = Sealing::of(connection);
        let mut record = |kind, content: &[u8]| sealing.record_of_1_2(kind, content);
        // A hello of nothing but its version, random bytes, no session, one cipher, no compression.
        let hello = [&[1, 0, 0, 41, 3, 3][..], &[7; 32], &[0, 0, 2, 0xc0, 0x2c, 1, 0]].concat();
        let message = frame(Binary, b"second");
        socket.write_all(&[record(22, &hello), record(23, &message)].concat()).unwrap();
        assert_eq!(kind_of_record(&mut socket), Some(21), "--lane {lane}: an alert");
        assert_eq!(kind_of_record(&mut socket), Some(23), "--lane {lane}: and the connection goes on");
        socket.write_all(&record(22, &hello)).unwrap();
        assert_eq!(kind_of_record(&mut socket), None, "--lane {lane}: the end");
        echoed(&mut setting.connect(), b"somebody else");
    }
}

/// The kind of the next record (RFC 8446, 5.1), which is read to its end; `None` where the stream ends.
fn kind_of_record(socket: &mut TcpStream) -> Option<u8> {
    let mut head = [0; 5];
    socket.read_exact(&mut head).ok()?;
    let [kind, _, _, high, low] = head;
    socket.read_exact(&mut vec![0; usize::from(u16::from_be_bytes([high, low]))]).unwrap();
    Some(kind)
}

/// The cipher that openssl and the server at this port agree on, if they do.
fn spoken(port: u16, flags: &str) -> Option<String> {
    let address = format!("127.0.0.1:{port}");
    let flags = ["s_client", "-connect", &address].into_iter().chain(flags.split(' '));
    let output = Command::new("openssl").args(flags).stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let cipher = text.lines().find_map(|line| line.split_once("Cipher is ")).map(|(_, cipher)| cipher.to_owned());
    cipher.filter(|cipher| cipher != "(NONE)")
}

/// A certificate of a key of this kind, signed by itself.
fn made(authority: &Authority, key: &str) -> Files {
    let [chain, made] = ["probed.crt", "probed.key"].map(|name| authority.folder().join(name));
    let (certificate, file) = (chain.display(), made.display());
    for line in [
        format!("genpkey {key} -out {file}"),
        format!(
            "req -x509 -new -key {file} -subj /CN=localhost -addext subjectAltName=DNS:localhost -out {certificate}"
        ),
    ] {
        let output = Command::new("openssl").args(line.split(' ')).output().unwrap();
        assert!(output.status.success(), "openssl {line}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Files { chain, key: made }
}

/// A server of openssl's that speaks all that it knows, killed when dropped.
struct Willing {
    child: Child,
    port: u16,
}

impl Willing {
    fn start(files: &Files) -> Self {
        let mut command = Command::new("openssl");
        command.args(["s_server", "-www", "-accept", "127.0.0.1:0", "-cipher", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"]);
        command.arg("-ciphersuites").arg(SUITES.map(|(suite, _)| suite).join(":"));
        command.arg("-cert").arg(&files.chain).arg("-key").arg(&files.key);
        let started = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut willing = Self { child: started.unwrap(), port: 0 };
        let mut stdout = BufReader::new(willing.child.stdout.take().unwrap());
        let mut line = String::new();
        while !line.starts_with("ACCEPT ") {
            line.clear();
            assert!(stdout.read_line(&mut line).unwrap() > 0, "openssl's server does not start");
        }
        willing.port = line.trim_end().rsplit_once(':').unwrap().1.parse().unwrap();
        willing.child.stdout = Some(stdout.into_inner());
        willing
    }
}

impl Drop for Willing {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
