//! Certificates and keys that rustls does not make or read, made and served by openssl.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::authority::Authority;
use crate::secure::echo_server;
use crate::skipped::skipped;
use crate::{refused, report, run};

/// Files that openssl has made.
struct Files(TempDir);

/// `openssl s_server`, which answers 200 to every request; killed when dropped.
struct Server {
    child: Child,
    url: String,
}

impl Files {
    /// `None` where there is no openssl.
    fn new() -> Option<Self> {
        let there = Command::new("openssl").arg("version").output().is_ok();
        there.then(|| Self(tempfile::tempdir().unwrap()))
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn openssl(&self, line: &str) {
        let output = Command::new("openssl").current_dir(self.0.path()).args(line.split(' ')).output().unwrap();
        assert!(output.status.success(), "openssl {line}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// A key of this kind, `key`, and a certificate signed by itself, `cert`, with this extension.
    fn make(&self, kind: &str, extension: &str) {
        self.openssl(&format!("genpkey {kind} -out key"));
        let names = "-addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE";
        self.openssl(&format!("req -x509 -new -key key -subj /CN=x {names}{extension} -out cert"));
    }

    /// The same, where the certificate is of X.509 version 1, as it is without extensions.
    fn make_version_1(&self) {
        self.openssl(&format!("genpkey {P256} -out key"));
        self.openssl("req -new -key key -subj /CN=x -out request");
        self.openssl("x509 -req -in request -signkey key -out cert");
    }

    fn server(&self) -> Server {
        let mut command = Command::new("openssl");
        command.current_dir(self.0.path()).args(["s_server", "-accept", "127.0.0.1:0", "-cert", "cert", "-key", "key"]);
        // Keys of RSA with 1024 bits are refused without.
        command.args(["-www", "-cipher", "DEFAULT@SECLEVEL=0"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        while !line.starts_with("ACCEPT ") {
            line.clear();
            assert!(lines.read_line(&mut line).unwrap() > 0, "openssl does not listen");
        }
        let port: u16 = line.trim().rsplit_once(':').unwrap().1.parse().unwrap();
        std::thread::spawn(move || lines.read_to_end(&mut Vec::new()));
        Server { child, url: format!("wss://127.0.0.1:{port}/") }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn any_certificate_is_taken_unchecked_where_that_is_asked_for() {
    let Some(files) = Files::new() else { return skipped(NO_OPENSSL) };
    let (rsa, curve) =
        ("-algorithm RSA -pkeyopt rsa_keygen_bits:1024", "-algorithm EC -pkeyopt ec_paramgen_curve:P-521");
    let critical = " -addext 1.2.3.4=critical,ASN1:NULL";
    for (make, reason, versions) in [
        (
            &Files::make_version_1 as &dyn Fn(&Files),
            "it is of X.509 version 1 or 2; expected version 3",
            &["1.2", "1.3"][..],
        ),
        (&|files| files.make(rsa, ""), "the key is of RSA with fewer than 2048 bits", &["1.2", "1.3"]),
        (&|files| files.make(P256, critical), "it has an extension that is critical and that rustls", &["1.2", "1.3"]),
        (&|files| files.make(curve, ""), "have a key that loadgen cannot check (P-521, Ed448)", &["1.3"]),
        (&|files| files.make("-algorithm ED448", ""), "have a key that loadgen cannot check (P-521, Ed448)", &["1.3"]),
    ] {
        make(&files);
        let server = files.server();
        for version in versions {
            let flags = [server.url.as_str(), "--tls-versions", version];
            let checked = refused(&[&flags[..], &["--cacert", &files.path("cert")]].concat());
            assert!(checked.contains(reason) && checked.contains("--insecure takes"), "{reason}, {version}: {checked}");
            // What openssl answers over TLS is no WebSocket.
            let unchecked = refused(&[&flags[..], &["--insecure"]].concat());
            assert!(unchecked.contains("the server answered 200"), "{reason}, {version}: {unchecked}");
        }
    }
}

#[test]
fn the_file_is_named_that_is_to_blame_for_a_certificate_of_the_client_s() {
    let Some(files) = Files::new() else { return skipped(NO_OPENSSL) };
    let url = echo_server(Authority::new().leaf().config());
    let [cert, key] = ["cert", "key"].map(|name| files.path(name));
    let shown = ["--insecure", "--client-cert", &cert, "--client-key", &key];
    files.make_version_1();
    report(&[&[url.as_str()], &shown[..]].concat());
    let said = |flag: &str, file: &str, why: &str| {
        let finished = run(&[&[url.as_str()], &shown[..]].concat());
        let expected = format!("{flag} {file}: {why}");
        assert!(finished.code == Some(2) && finished.stderr.contains(&expected), "{expected}: {}", finished.stderr);
    };
    std::fs::write(&cert, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    said("--client-cert", &cert, "the first certificate in it cannot be read: its bytes are no X.509 certificate");
    std::fs::write(&cert, "-----BEGIN CERTIFICATE-----\nAAAA\n").unwrap();
    said("--client-cert", &cert, "it is no PEM: it has no line -----END CERTIFICATE-----");
    files.make("-algorithm ED448", "");
    said("--client-key", &key, "its kind of key is not taken, or it is damaged; expected RSA of 2048 to 4096 bits");
    files.make(P256, "");
    files.openssl(&format!("genpkey {P256} -out key"));
    said("--client-key", &key, "it is not the key of --client-cert");
}

const P256: &str = "-algorithm EC -pkeyopt ec_paramgen_curve:P-256";

const NO_OPENSSL: &str = "there is no openssl to make such certificates with";
