//! TLS settings.

use super::env::{ConfigErrors, EnvReader};
use crate::server::{Tls, TlsError, TlsFiles};

const CERTIFICATES: &str = "TLS_CERT_PATH";
const KEY: &str = "TLS_KEY_PATH";

/// Reads the paths. One without the other is an error.
pub(super) fn files(read: &mut EnvReader) -> Option<TlsFiles> {
    match (read.text(CERTIFICATES), read.text(KEY)) {
        (Some(certificates), Some(key)) => Some(TlsFiles { certificates: certificates.into(), key: key.into() }),
        (None, None) => None,
        (certificates, _) => {
            let (missing, given) = if certificates.is_some() { (KEY, CERTIFICATES) } else { (CERTIFICATES, KEY) };
            read.push_error(missing, &format!("set together with {given}"));
            None
        }
    }
}

/// Loads the certificate and the key of a server. Other commands do not need them.
pub fn load_tls(files: TlsFiles) -> Result<Tls, ConfigErrors> {
    Tls::load(files).map_err(|error| {
        let name = match error {
            TlsError::Certificates { .. } => CERTIFICATES,
            TlsError::Key { .. } | TlsError::Mismatch(_) => KEY,
        };
        ConfigErrors(vec![format!("{name} is not usable: {error}.")])
    })
}
