//! Development secrets, generated at the first start and stored in `DATA_DIR`.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;

use super::Config;

impl Config {
    /// Fills in missing secrets: loads those of an earlier start or generates them.
    pub fn with_development_secrets(mut self) -> io::Result<Self> {
        for (name, secret) in [("jwt-secret", &mut self.jwt_secret), ("encryption-key", &mut self.encryption_key)] {
            if secret.is_none() {
                *secret = Some(load_or_generate(&self.data_dir.join(name))?);
            }
        }
        Ok(self)
    }
}

/// Loads the secret from the file, which is created if it does not exist.
fn load_or_generate(path: &Path) -> io::Result<SecretString> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        read => return Ok(read?.trim().to_owned().into()),
    }
    if let Some(directory) = path.parent() {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(directory)?;
    }
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    // Write to a temporary file and link it: if several processes start at once, one link succeeds and all of them
    // read the same complete secret.
    let temporary = path.with_extension(std::process::id().to_string());
    let mut file = private_file(&temporary)?;
    file.write_all(STANDARD.encode(bytes).as_bytes())?;
    file.sync_all()?;
    let linked = fs::hard_link(&temporary, path);
    fs::remove_file(&temporary)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    Ok(fs::read_to_string(path)?.trim().to_owned().into())
}

fn private_file(path: &Path) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn secrets_are_generated_once_and_readable_by_the_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/secret");
        let first = load_or_generate(&path).unwrap();
        assert_eq!(load_or_generate(&path).unwrap().expose_secret(), first.expose_secret());
        assert_eq!(STANDARD.decode(first.expose_secret()).unwrap().len(), 32);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "the temporary file was removed");
    }
}
