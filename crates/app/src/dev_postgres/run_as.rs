//! PostgreSQL refuses to run as root, and as an id without an account; containers often have nobody else.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use tokio::process::Command;

use super::error::DevPostgresError;
use super::step::Step;

const QUICK: Duration = Duration::from_secs(10);

/// As whom the server programs run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RunAs {
    /// As the user who started this process, who is not root.
    Caller,
    /// As files see it, the caller, whose ids these are; as PostgreSQL sees it, an account in a user namespace of its
    /// own. Nothing has to change hands, so it works in a private home as well.
    Namespace { inside: Account, uid: u32, gid: u32 },
    /// As another account, which must own the data and be able to reach it.
    Other(Account, Switch),
}

/// An account of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    name: String,
    uid: u32,
    gid: u32,
}

/// The program that changes to the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Switch {
    Setpriv,
    Su,
}

impl RunAs {
    /// Finds the first way that works on this machine.
    pub(super) async fn detect() -> Result<Self, DevPostgresError> {
        let uid = id("-u").await?;
        if uid != 0 && name_of(uid).await.is_some() {
            return Ok(Self::Caller);
        }
        let mut tried = Vec::new();
        for way in Self::ways_around(uid).await? {
            match way.rehearse().await {
                Ok(()) => return Ok(way),
                Err(error) => tried.push(error.to_string()),
            }
        }
        if tried.is_empty() {
            tried.push("the accounts `nobody` and `postgres`: neither exists".to_owned());
        }
        Err(DevPostgresError::NoUser { tried })
    }

    async fn ways_around(uid: u32) -> Result<Vec<Self>, DevPostgresError> {
        let gid = id("-g").await?;
        let nobody = Account::named("nobody").await;
        let postgres = Account::named("postgres").await;
        // Inside a namespace any account does; as a real owner of files its own account is the better one.
        let inside = nobody.clone().or_else(|| postgres.clone());
        let mut ways: Vec<_> = inside.into_iter().map(|inside| Self::Namespace { inside, uid, gid }).collect();
        for account in [postgres, nobody].into_iter().flatten() {
            ways.push(Self::Other(account.clone(), Switch::Setpriv));
            ways.push(Self::Other(account, Switch::Su));
        }
        Ok(ways)
    }

    async fn rehearse(&self) -> Result<(), DevPostgresError> {
        let mut command = self.command(Path::new("id"));
        command.arg("-u");
        let step =
            Step { what: "running a program as another user", command, limit: QUICK, advice: "run as a normal user." };
        step.run().await.map(drop)
    }

    /// A command that runs `program` in this way; arguments may be added.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = match self {
            Self::Caller => return clean(Command::new(program)),
            Self::Namespace { inside, .. } => {
                let mut command = Command::new("unshare");
                command
                    .arg("--user")
                    .arg(format!("--map-user={}", inside.uid))
                    .arg(format!("--map-group={}", inside.gid));
                command
            }
            Self::Other(account, Switch::Setpriv) => {
                let mut command = Command::new("setpriv");
                command
                    .arg(format!("--reuid={}", account.uid))
                    .arg(format!("--regid={}", account.gid))
                    .arg("--clear-groups");
                command
            }
            Self::Other(account, Switch::Su) => {
                let mut command = Command::new("su");
                // The shell runs its arguments as they are: no quoting, whatever the paths hold.
                command.args(["-s", "/bin/sh", "-c", r#"exec "$0" "$@""#, "--"]);
                command.arg(&account.name);
                command
            }
        };
        command.arg(program);
        clean(command)
    }

    /// Makes `path`, and all in it, belong to whom the programs run as.
    pub(super) async fn take_over(&self, path: &Path) -> Result<(), DevPostgresError> {
        let (uid, gid) = match self {
            Self::Caller => return Ok(()),
            Self::Namespace { uid, gid, .. } => (*uid, *gid),
            Self::Other(account, _) => (account.uid, account.gid),
        };
        let metadata = std::fs::metadata(path).map_err(DevPostgresError::files("reading", path))?;
        if metadata.uid() == uid {
            return Ok(());
        }
        let mut command = Command::new("chown");
        command.arg("-R").arg(format!("{uid}:{gid}")).arg(path);
        let step = Step {
            what: "giving the data to the account that PostgreSQL runs as",
            command,
            limit: Duration::from_mins(1),
            advice: "check the owner of the folder.",
        };
        step.run().await.map(drop)
    }

    /// What to tell a person when a program could not work in `path`.
    pub(super) fn advice(&self, path: &Path) -> String {
        match self {
            Self::Caller | Self::Namespace { .. } => format!(
                "read the output above; if the data in {} is not needed, remove it and try again; \
                 or set DATABASE_URL to a database of your own.",
                path.display()
            ),
            Self::Other(account, _) => format!(
                "read the output above; PostgreSQL runs as `{}` here, which must be able to reach {} \
                 (a private home hides it): move the project, run as a normal user, \
                 or set DATABASE_URL to a database of your own.",
                account.name,
                path.display()
            ),
        }
    }
}

impl Account {
    async fn named(name: &str) -> Option<Self> {
        let uid = ask_id(&["-u", name]).await.ok()?.parse().ok()?;
        let gid = ask_id(&["-g", name]).await.ok()?.parse().ok()?;
        Some(Self { name: name.to_owned(), uid, gid })
    }
}

/// Variables that would send the programs to another server, or make them speak another language.
fn clean(mut command: Command) -> Command {
    for variable in ["PGDATA", "PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGOPTIONS", "PGSERVICE"] {
        command.env_remove(variable);
    }
    command.env("LC_ALL", "C");
    command
}

/// An id of the caller: `-u` the user's, `-g` the group's.
async fn id(which: &str) -> Result<u32, DevPostgresError> {
    let answer = ask_id(&[which]).await?;
    answer.parse().map_err(|_| DevPostgresError::NoUser {
        tried: vec![format!("`id {which}`: it answered {answer:?}, not a number")],
    })
}

/// The name of the caller's account; an id that a container was given may have none.
async fn name_of(uid: u32) -> Option<String> {
    let name = ask_id(&["-u", "-n"]).await.ok()?;
    (name != uid.to_string()).then_some(name)
}

async fn ask_id(arguments: &[&str]) -> Result<String, DevPostgresError> {
    let mut command = Command::new("id");
    command.args(arguments);
    let step =
        Step { what: "asking for a user's id", command, limit: QUICK, advice: "check that the program `id` is there." };
    let output = step.run().await?;
    Ok(output.trim().to_owned())
}
