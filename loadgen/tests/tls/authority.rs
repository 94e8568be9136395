//! A certificate authority of the tests' own, whose files lie in a directory that goes with it.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig};
use tempfile::TempDir;

pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    directory: TempDir,
    file: String,
}

/// What a server of it has.
pub struct Leaf {
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        // Each has a name of its own, or one would pass for another.
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        params.distinguished_name.push(DnType::CommonName, format!("loadgen's tests, {number}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ca.pem");
        fs::write(&file, certificate.pem()).unwrap();
        let file = file.to_str().unwrap().to_owned();
        Self { issuer: Issuer::new(params, key), certificate: certificate.der().clone(), directory, file }
    }

    /// The file of its certificate.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// A certificate for localhost.
    pub fn leaf(&self) -> Leaf {
        self.leaf_of(|_| ())
    }

    /// One with changes.
    pub fn leaf_of(&self, change: impl FnOnce(&mut CertificateParams)) -> Leaf {
        let mut params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        Leaf { certificate, key: key.serialize_der() }
    }

    /// One whose time is over.
    pub fn expired(&self) -> Leaf {
        self.leaf_of(|params| params.not_after = date_time_ymd(2021, 2, 3))
    }

    /// The files of a certificate of this name and of its key, which it has signed.
    pub fn files(&self, name: &str) -> [String; 2] {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([name.to_owned(), "127.0.0.1".to_owned()]).unwrap();
        let pems = [certificate.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem()];
        let files = [format!("{name}.pem"), format!("{name}.key")];
        files.iter().zip(pems).for_each(|(file, pem)| fs::write(self.directory.path().join(file), pem).unwrap());
        files.map(|file| self.path(&file))
    }

    /// A server that asks clients for certificates of this authority.
    pub fn asking(&self, leaf: &Leaf) -> ServerConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        builder.with_client_cert_verifier(verifier).with_single_cert(leaf.chain(), leaf.key()).unwrap()
    }

    fn path(&self, file: &str) -> String {
        let path: PathBuf = self.directory.path().join(file);
        path.to_str().unwrap().to_owned()
    }
}

impl Leaf {
    /// A server with it.
    pub fn config(&self) -> ServerConfig {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS12, &TLS13]).unwrap();
        builder.with_no_client_auth().with_single_cert(self.chain(), self.key()).unwrap()
    }

    /// A server that shows it and does not have the key to it.
    pub fn config_without_its_key(&self) -> ServerConfig {
        let provider = Arc::new(ring::default_provider());
        let other = KeyPair::generate().unwrap().serialize_der();
        let key = provider.key_provider.load_private_key(PrivatePkcs8KeyDer::from(other).into()).unwrap();
        let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS12, &TLS13]).unwrap();
        let shown = SingleCertAndKey::from(CertifiedKey::new(self.chain(), key));
        builder.with_no_client_auth().with_cert_resolver(Arc::new(shown))
    }

    fn chain(&self) -> Vec<CertificateDer<'static>> {
        vec![self.certificate.clone()]
    }

    fn key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.clone()).into()
    }
}
