//! Secrets of hooks: read when they are needed, from a private file or from the service manager, and never shown.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use secrecy::SecretString;
use zeroize::Zeroizing;

/// The largest secret.
const CREDENTIAL_MAX_BYTES: u64 = 64 * 1024;
/// Where the service manager puts the credentials of a unit.
const MANAGER_DIR: &str = "CREDENTIALS_DIRECTORY";

/// Where `credential:NAME` is looked up.
#[derive(Debug, Clone)]
pub struct Drawer {
    dirs: Vec<PathBuf>,
}

impl Drawer {
    /// Looks in the unit's credentials first, then in `hooks/` of the given directory.
    pub fn new(credentials_dir: PathBuf) -> Self {
        let manager = std::env::var_os(MANAGER_DIR).map(PathBuf::from);
        Self { dirs: manager.into_iter().chain([credentials_dir.join("hooks")]).collect() }
    }

    /// The secret of a name, without the line end at its end.
    pub fn get(&self, name: &str) -> Result<SecretString, String> {
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\0']) {
            return Err(format!("`{name}` is no name of a credential"));
        }
        let Some(path) = self.dirs.iter().map(|dir| dir.join(name)).find(|path| path.exists()) else {
            let home = self.dirs.last().map(|dir| dir.join(name)).unwrap_or_default();
            return Err(format!("there is no credential `{name}` (expected in {})", home.display()));
        };
        let read = || -> std::io::Result<Zeroizing<String>> {
            let file = File::open(&path)?;
            let mut text = Zeroizing::new(String::new());
            file.take(CREDENTIAL_MAX_BYTES).read_to_string(&mut text)?;
            Ok(text)
        };
        let metadata = fs::metadata(&path).map_err(|error| format!("credential `{name}` cannot be read: {error}"))?;
        // The service manager's own files may show group bits where it grants access by other means.
        let is_ours = self.dirs.last().is_some_and(|dir| path.starts_with(dir));
        if is_ours && metadata.mode() & 0o077 != 0 {
            return Err(format!("credential `{name}` can be read by others (chmod 0600 {})", path.display()));
        }
        let text = read().map_err(|error| format!("credential `{name}` cannot be read: {error}"))?;
        let secret = text.trim_end_matches(['\r', '\n']);
        if secret.is_empty() {
            return Err(format!("credential `{name}` is empty"));
        }
        Ok(SecretString::from(secret))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn secrets_are_private_files() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("hooks")).unwrap();
        let path = dir.path().join("hooks/key");
        let drawer = Drawer::new(dir.path().to_owned());
        assert!(drawer.get("key").unwrap_err().contains("there is no credential"));
        fs::write(&path, "s3cret\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(drawer.get("key").unwrap_err().contains("can be read by others"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(drawer.get("key").unwrap().expose_secret(), "s3cret");
        assert!(drawer.get("../hooks/key").is_err());
    }
}
