//! Rebuilds the crate when a migration comes or changes, and names the set of migrations by a fingerprint.

use std::error::Error;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

const MIGRATIONS: &str = "../../migrations";

fn main() -> Result<(), Box<dyn Error>> {
    let mut paths = Vec::new();
    for folder in fs::read_dir(MIGRATIONS)? {
        let folder = folder?.path();
        if folder.is_dir() {
            paths.extend([folder.join("up.sql"), folder.join("down.sql")]);
        }
    }
    paths.sort();

    let mut hasher = DefaultHasher::new();
    for path in &paths {
        path.strip_prefix(MIGRATIONS).unwrap_or(path).hash(&mut hasher);
        read(path)?.hash(&mut hasher);
    }
    println!("cargo::rerun-if-changed={MIGRATIONS}");
    println!("cargo::rustc-env=MIGRATIONS_FINGERPRINT={:016x}", hasher.finish());
    Ok(())
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("can't read the migration {}: {error}", path.display()))
}
