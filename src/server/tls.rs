//! TLS of a listener, with a certificate and a key from files that can be replaced while it serves.

use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject as _},
    },
    server::TlsStream,
};

/// Protocols that a client can choose from (RFC 7301), preferred ones first.
const ALPN_PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Files in PEM format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificate of the server, followed by those of intermediate authorities.
    pub certificates: PathBuf,
    /// Private key of the first certificate.
    pub key: PathBuf,
}

/// Reason why files cannot be used.
#[derive(Debug, Error)]
pub enum TlsError {
    /// The certificates are unreadable or invalid.
    #[error("no valid certificates in {}: {cause}", .file.display())]
    Certificates {
        /// File of the certificates.
        file: PathBuf,
        /// Description of the error.
        cause: String,
    },
    /// The key is unreadable or invalid.
    #[error("no valid private key in {}: {cause}", .file.display())]
    Key {
        /// File of the key.
        file: PathBuf,
        /// Description of the error, without any part of the key.
        cause: String,
    },
    /// The key is that of another certificate.
    #[error("the private key in {} is not that of the first certificate in {}", .0.key.display(), .0.certificates.display())]
    Mismatch(TlsFiles),
}

/// Certificate and key of a listener. Clones share them.
#[derive(Clone)]
pub struct Tls {
    files: Arc<Mutex<TlsFiles>>,
    current: Arc<RwLock<Arc<ServerConfig>>>,
}

impl Tls {
    /// Loads the files.
    ///
    /// # Errors
    ///
    /// Returns an error if a file is unreadable or invalid, or if the key is not that of the certificate.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let current = Arc::new(RwLock::new(Arc::new(load(&files)?)));
        Ok(Self { files: Arc::new(Mutex::new(files)), current })
    }

    /// Loads the files again, for new connections. Connections that are open keep the previous certificate.
    ///
    /// # Errors
    ///
    /// Fails like [`load`](Self::load). The previous certificate stays in use.
    pub fn reload(&self) -> Result<(), TlsError> {
        // Held during the load, so that the last of several reloads is the one that remains.
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let loaded = Arc::new(load(&files)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = loaded;
        Ok(())
    }

    /// Performs the handshake of a connection.
    pub(super) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(&self, socket: S) -> io::Result<TlsStream<S>> {
        let current = Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner));
        TlsAcceptor::from(current).accept(socket).await
    }
}

/// Makes aws-lc-rs the provider of cryptography for all TLS of the process. A second call has no effect.
pub fn install_crypto_provider() {
    let _already_installed = aws_lc_rs::default_provider().install_default();
}

fn load(files: &TlsFiles) -> Result<ServerConfig, TlsError> {
    let (certificates_error, key_error) = (
        |cause: String| TlsError::Certificates { file: files.certificates.clone(), cause },
        |cause: String| TlsError::Key { file: files.key.clone(), cause },
    );
    let certificates = CertificateDer::pem_file_iter(&files.certificates)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .and_then(|found| if found.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(found) })
        .map_err(|error| certificates_error(describe(error)))?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| key_error(describe(error)))?;
    let mut config = ServerConfig::builder().with_no_client_auth().with_single_cert(certificates, key).map_err(
        |error| match error {
            rustls::Error::InconsistentKeys(_) => TlsError::Mismatch(files.clone()),
            rustls::Error::InvalidCertificate(_) => certificates_error(error.to_string()),
            _ => key_error(error.to_string()),
        },
    )?;
    config.alpn_protocols = ALPN_PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Ok(config)
}

/// Describes an error without the contents of the file, which may be a key.
fn describe(error: pem::Error) -> String {
    match error {
        pem::Error::Io(error) => error.to_string(),
        pem::Error::NoItemsFound => "the file has none in PEM format".to_owned(),
        _ => "the file is not valid PEM".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use rcgen::generate_simple_self_signed;
    use tempfile::TempDir;

    use super::*;

    /// Writes a new certificate and its key to `NAME.crt` and `NAME.key`.
    fn write_identity(folder: &Path, name: &str) -> TlsFiles {
        let identity = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let files = files(folder, name, name);
        fs::write(&files.certificates, to_pem("CERTIFICATE", identity.cert.der())).unwrap();
        fs::write(&files.key, to_pem("PRIVATE KEY", &identity.signing_key.serialize_der())).unwrap();
        files
    }

    fn to_pem(label: &str, bytes: &[u8]) -> String {
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(bytes))
    }

    fn files(folder: &Path, certificates: &str, key: &str) -> TlsFiles {
        let path = |name: &str, extension| folder.join(name).with_extension(extension);
        TlsFiles { certificates: path(certificates, "crt"), key: path(key, "key") }
    }

    #[test]
    fn unusable_files_are_named_without_their_contents() {
        let folder = TempDir::new().unwrap();
        let good = write_identity(folder.path(), "good");
        write_identity(folder.path(), "other");
        let secret = fs::read_to_string(&good.key).unwrap();
        let secret = secret.lines().nth(1).unwrap();
        fs::write(folder.path().join("empty.crt"), "").unwrap();
        fs::write(folder.path().join("empty.key"), "").unwrap();
        fs::write(folder.path().join("broken.crt"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
            .unwrap();
        fs::write(folder.path().join("broken.key"), format!("-----BEGIN PRIVATE KEY-----\n{secret}\n")).unwrap();
        // As if the files were mixed up.
        fs::copy(&good.certificates, folder.path().join("certificate.key")).unwrap();
        for (certificates, key, named) in [
            ("missing", "good", &["missing.crt", "No such file"][..]),
            ("empty", "good", &["certificates", "empty.crt"]),
            ("broken", "good", &["certificates", "broken.crt"]),
            ("good", "missing", &["missing.key", "No such file"]),
            ("good", "empty", &["private key", "empty.key"]),
            ("good", "broken", &["private key", "broken.key"]),
            ("good", "certificate", &["private key", "certificate.key"]),
            ("good", "other", &["good.crt", "other.key", "is not that of"]),
        ] {
            let error = Tls::load(files(folder.path(), certificates, key)).err().unwrap().to_string();
            assert!(named.iter().all(|part| error.contains(part)) && !error.contains(secret), "{error}");
        }
        assert!(Tls::load(good).is_ok());
    }

    #[test]
    fn a_failed_reload_keeps_the_certificate() {
        let folder = TempDir::new().unwrap();
        let tls = Tls::load(write_identity(folder.path(), "site")).unwrap();
        let current = || Arc::as_ptr(&tls.current.read().unwrap());
        let before = current();
        fs::remove_file(folder.path().join("site.key")).unwrap();
        assert!(tls.reload().is_err());
        assert_eq!(current(), before);
        write_identity(folder.path(), "site");
        tls.reload().unwrap();
        assert_ne!(current(), before);
    }
}
