//! What the tests of TLS share: certificates of an authority of their own, a server that shows one, and clients that know it.
#![allow(dead_code, reason = "every test binary uses its own part of it")]
#![allow(unreachable_pub, reason = "a module of test binaries has no public")]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ClientConnection, ConnectionTrafficSecrets, RootCertStore, SupportedProtocolVersion};
use tempfile::TempDir;
use wire::OpCode::Binary;

use crate::support::{Client, Server, UPGRADE, frame, upgraded};

/// A TLS connection of a client.
pub type Secure = rustls::StreamOwned<ClientConnection, TcpStream>;

/// Who signs the tests' certificates, and a folder for them.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

/// A certificate and its key, in files.
pub struct Files {
    pub chain: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, folder }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The authority's own certificate.
    pub fn file(&self) -> PathBuf {
        self.folder().join("ca.pem")
    }

    /// A certificate for localhost in files of this name.
    pub fn issue(&self, name: &str) -> Files {
        self.issue_as(name, |_| {})
    }

    /// The same, with parameters of the test's choice.
    pub fn issue_as(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Files {
        let mut params = CertificateParams::new(vec!["localhost".into(), "127.0.0.1".into()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let [chain, key_file] = ["crt", "key"].map(|ending| self.folder().join(format!("{name}.{ending}")));
        std::fs::write(&chain, certificate.pem()).unwrap();
        std::fs::write(&key_file, key.serialize_pem()).unwrap();
        Files { chain, key: key_file }
    }

    /// The files of somebody else who signs, whom this authority has signed.
    pub fn between(&self) -> Files {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "between");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let signing = KeyPair::generate().unwrap();
        let [chain, key] = ["between.crt", "between.key"].map(|name| self.folder().join(name));
        std::fs::write(&key, signing.serialize_pem()).unwrap();
        std::fs::write(&chain, params.signed_by(&signing, &self.issuer).unwrap().pem()).unwrap();
        Files { chain, key }
    }

    /// What clients know of the server.
    pub fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        roots
    }

    /// A client's configuration, for these versions of TLS.
    pub fn client(&self, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
        let mut config = builder(versions).with_root_certificates(self.roots()).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config
    }

    /// The same, with a certificate to show.
    pub fn client_with(&self, versions: &[&'static SupportedProtocolVersion], files: &Files) -> ClientConfig {
        let chain = CertificateDer::pem_file_iter(&files.chain).unwrap().map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(&files.key).unwrap();
        builder(versions).with_root_certificates(self.roots()).with_client_auth_cert(chain, key).unwrap()
    }
}

fn builder(
    versions: &[&'static SupportedProtocolVersion],
) -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap()
}

impl Files {
    /// The flags that have a server show this certificate.
    pub fn flags(&self) -> [&str; 6] {
        let [chain, key] = [&self.chain, &self.key].map(|path| path.to_str().unwrap());
        ["--listen", "wss://127.0.0.1:0", "--tls-cert", chain, "--tls-key", key]
    }

    /// Replaces the files by those of another certificate, each as a whole.
    pub fn replace_by(&self, other: &Self) {
        std::fs::rename(&other.chain, &self.chain).unwrap();
        std::fs::rename(&other.key, &self.key).unwrap();
    }
}

/// An authority, a server with a certificate of it beside these flags, and a configuration for its clients.
pub struct Setting {
    pub authority: Authority,
    pub files: Files,
    pub server: Server,
    pub client: Arc<ClientConfig>,
}

impl Setting {
    pub fn new(flags: &[&str]) -> Self {
        Self::with_versions(flags, rustls::ALL_VERSIONS)
    }

    pub fn with_versions(flags: &[&str], versions: &[&'static SupportedProtocolVersion]) -> Self {
        let authority = Authority::new();
        let files = authority.issue("server");
        let server = Server::start(&[&files.flags()[..], flags].concat());
        let mut client = authority.client(versions);
        client.resumption = Resumption::disabled();
        Self { authority, files, server, client: Arc::new(client) }
    }

    /// The same as [`Setting::new`], for clients of TLS 1.3 that tell their keys, which are for AES-256-GCM.
    pub fn with_extraction(flags: &[&str]) -> Self {
        let mut setting = Self::with_versions(flags, &[&rustls::version::TLS13]);
        let config = Arc::get_mut(&mut setting.client).unwrap();
        config.enable_secret_extraction = true;
        setting
    }

    /// The same as [`Setting::new`], of which the log has everything that the server says.
    pub fn with_log(flags: &[&str]) -> Self {
        let authority = Authority::new();
        let files = authority.issue("server");
        let mut command = Command::new(env!("CARGO_BIN_EXE_echo-server"));
        command.env("RUST_LOG", "debug").args(files.flags()).args(flags);
        let server = Server::spawn(&mut command);
        let mut client = authority.client(rustls::ALL_VERSIONS);
        client.resumption = Resumption::disabled();
        Self { authority, files, server, client: Arc::new(client) }
    }

    /// A connection that has not said anything over its socket.
    pub fn tls(&self) -> Secure {
        self.tls_with(&self.client)
    }

    pub fn tls_with(&self, config: &Arc<ClientConfig>) -> Secure {
        let socket = self.socket();
        let connection = ClientConnection::new(Arc::clone(config), "localhost".try_into().unwrap()).unwrap();
        rustls::StreamOwned::new(connection, socket)
    }

    /// A socket to the address for TLS.
    pub fn socket(&self) -> TcpStream {
        Server::stream_to(self.server.tls_port.expect("the flags ask for wss://127.0.0.1:0"))
    }

    /// An upgraded connection.
    pub fn connect(&self) -> Client<Secure> {
        upgrade(self.tls(), "")
    }
}

/// Upgrades a connection, with more header lines.
pub fn upgrade(mut stream: Secure, headers: &str) -> Client<Secure> {
    stream.write_all(format!("{UPGRADE}{headers}\r\n").as_bytes()).unwrap();
    upgraded(stream)
}

/// Sends a message and asserts that it comes back.
pub fn echoed(client: &mut Client<Secure>, bytes: &[u8]) {
    client.send(&frame(Binary, bytes));
    let (first, back) = client.frame();
    assert!(first == 0x82 && back == bytes, "not the message of {} bytes: {first:#x}, {}", bytes.len(), back.len());
}

/// The records that say `bytes`, as they would be sent.
pub fn seal(stream: &mut Secure, bytes: &[u8]) -> Vec<u8> {
    stream.conn.set_buffer_limit(None);
    stream.conn.writer().write_all(bytes).unwrap();
    let mut records = Vec::new();
    while stream.conn.wants_write() {
        stream.conn.write_tls(&mut records).unwrap();
    }
    records
}

/// What a client encrypts by with AES-256-GCM, taken out of its connection, so that records of any kind can be made.
pub struct Sealing {
    key: LessSafeKey,
    iv: [u8; 12],
    sequence: u64,
}

impl Sealing {
    /// That of a connection that was made with secrets to be extracted.
    pub fn of(connection: ClientConnection) -> Self {
        let (sequence, secrets) = connection.dangerous_extract_secrets().unwrap().tx;
        let ConnectionTrafficSecrets::Aes256Gcm { key, iv } = secrets else { panic!("another cipher than asked for") };
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.as_ref()).unwrap());
        Self { key, iv: iv.as_ref().try_into().unwrap(), sequence }
    }

    /// The next record of TLS 1.2 (RFC 5288, 3): half of the nonce goes with it.
    pub fn record_of_1_2(&mut self, kind: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).unwrap();
        let head = [&self.sequence.to_be_bytes()[..], &[kind, 3, 3], &length.to_be_bytes()].concat();
        let (nonce, sealed) = self.seal(&head, content.to_vec());
        let length = u16::try_from(nonce[4..].len() + sealed.len()).unwrap();
        [&[kind, 3, 3][..], &length.to_be_bytes(), &nonce[4..], &sealed].concat()
    }

    /// The next record of TLS 1.3 (RFC 8446, 5.2): its kind is encrypted, too.
    pub fn record_of_1_3(&mut self, kind: u8, content: &[u8]) -> Vec<u8> {
        let inner = [content, &[kind]].concat();
        let length = u16::try_from(inner.len() + AES_256_GCM.tag_len()).unwrap();
        let header = [&[23, 3, 3][..], &length.to_be_bytes()].concat();
        let (_, sealed) = self.seal(&header, inner);
        [header, sealed].concat()
    }

    fn seal(&mut self, head: &[u8], mut content: Vec<u8>) -> ([u8; 12], Vec<u8>) {
        let mut nonce = self.iv;
        nonce[4..].iter_mut().zip(self.sequence.to_be_bytes()).for_each(|(byte, other)| *byte ^= other);
        self.sequence += 1;
        let assumed = Nonce::assume_unique_for_key(nonce);
        self.key.seal_in_place_append_tag(assumed, Aad::from(head), &mut content).unwrap();
        (nonce, content)
    }
}

/// Ends the client's side by close_notify and FIN, and asserts that nothing follows but the same from the server.
pub fn close_in_order(mut stream: Secure) {
    stream.conn.send_close_notify();
    stream.flush().unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).expect("close_notify comes before the end");
    assert_eq!(rest, b"");
    let _ = stream.sock.shutdown(Shutdown::Both);
}
