//! Certificates of servers, and a client that trusts exactly one of them.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pocket_tasks::server::TlsFiles;
use rcgen::generate_simple_self_signed;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Writes a new certificate for `localhost` and its key. Replaces earlier ones.
pub(crate) fn write_identity(folder: &Path) -> TlsFiles {
    let identity = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let files = TlsFiles { certificates: folder.join("site.crt"), key: folder.join("site.key") };
    fs::write(&files.certificates, to_pem("CERTIFICATE", identity.cert.der())).unwrap();
    fs::write(&files.key, to_pem("PRIVATE KEY", &identity.signing_key.serialize_der())).unwrap();
    files
}

fn to_pem(label: &str, bytes: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(bytes))
}

/// Reads the certificate of the files.
pub(crate) fn certificate(files: &TlsFiles) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(&files.certificates).unwrap()
}

/// Connects to a server, which must have this certificate.
pub(crate) async fn connect(
    server: SocketAddr,
    certificate: &CertificateDer<'static>,
    protocols: &[&str],
) -> io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let stream = TcpStream::connect(server).await?;
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), stream).await
}
