//! How sessions are signed, and how long they last.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rand::TryRngCore;
use rand::rngs::OsRng;

use super::reader::{Noted, Reader};
use super::secret::Secret;

/// `[auth]`
#[derive(Debug, Clone)]
pub struct AuthSettings {
    /// Signs access tokens; `None`, in development and test only, asks for [`development_jwt_secret`].
    pub jwt_secret: Option<Secret>,
    /// Their tokens are still accepted.
    pub previous_jwt_secrets: Vec<Secret>,
    /// How long an access token is valid.
    pub access_ttl: Duration,
    /// How long a refresh token is valid.
    pub refresh_ttl: Duration,
}

impl AuthSettings {
    pub(super) fn read(reader: &mut Reader) -> Result<Self, Noted> {
        let jwt_secret = reader.secret("auth.jwt_secret", "at least 32 bytes", is_long);
        let previous_jwt_secrets =
            reader.list("auth.previous_jwt_secrets", "comma-separated secrets of at least 32 bytes each", |text| {
                is_long(text).then(|| Secret::new(text))
            });
        let access_ttl = reader.seconds("auth.access_ttl_seconds", 1..=86_400);
        let refresh_ttl = reader.seconds("auth.refresh_ttl_seconds", 1..=31_536_000);
        Ok(Self {
            jwt_secret: jwt_secret?,
            previous_jwt_secrets: previous_jwt_secrets?,
            access_ttl: access_ttl?,
            refresh_ttl: refresh_ttl?,
        })
    }
}

/// Contract 5: at least 32 bytes, what HS256 can use.
fn is_long(secret: &str) -> bool {
    secret.len() >= 32 && !secret.trim().is_empty()
}

/// The secret of a developer's machine: made once, kept in `data/jwt-secret` for its owner's eyes only, so that
/// sessions outlive a restart.
pub fn development_jwt_secret(data: &Path) -> std::io::Result<Secret> {
    let path = data.join("jwt-secret");
    if !path.exists() {
        std::fs::create_dir_all(data)?;
        let part = data.join(format!("jwt-secret.{}", std::process::id()));
        let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
        file.write_all(new_secret()?.as_bytes())?;
        // A link is made whole or not at all; of two processes at once, both then read the first one's.
        match std::fs::hard_link(&part, &path) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error),
            _ => std::fs::remove_file(&part)?,
        }
    }
    let secret = std::fs::read_to_string(&path)?;
    if is_long(&secret) {
        return Ok(Secret::new(secret));
    }
    let told = format!("{} holds less than 32 bytes; remove it, and it is made again", path.display());
    Err(std::io::Error::new(std::io::ErrorKind::InvalidData, told))
}

fn new_secret() -> std::io::Result<String> {
    let mut bytes = [0; 32];
    OsRng.try_fill_bytes(&mut bytes).map_err(std::io::Error::other)?;
    Ok(hex::encode(bytes))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_development_secret_is_made_once_and_for_its_owner_only() {
        let data = tempfile::tempdir().unwrap();
        let folder = data.path().join("made-too");
        let first = development_jwt_secret(&folder).unwrap();
        assert_eq!(first.expose().len(), 64);
        assert_eq!(development_jwt_secret(&folder).unwrap(), first);
        let mode = std::fs::metadata(folder.join("jwt-secret")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
    }

    #[test]
    fn two_machines_have_two_secrets() {
        let secret = || development_jwt_secret(tempfile::tempdir().unwrap().path()).unwrap();
        assert_ne!(secret(), secret());
    }

    #[test]
    fn a_broken_secret_file_is_told_and_not_used() {
        let data = tempfile::tempdir().unwrap();
        std::fs::write(data.path().join("jwt-secret"), "short").unwrap();
        let error = development_jwt_secret(data.path()).unwrap_err();
        assert!(error.to_string().contains("less than 32 bytes"), "{error}");
    }
}
