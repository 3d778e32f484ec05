//! PostgreSQL refuses to run as root; containers and fresh machines often have nobody else.

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
    /// As root's files see it, root; as PostgreSQL sees it, an account of a user namespace of its own.
    /// Nothing has to change hands, so it works in a private home as well.
    Namespace(Account),
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
        if id("-u", None).await? != 0 {
            return Ok(Self::Caller);
        }
        let mut tried = Vec::new();
        for way in Self::ways_from_root().await {
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

    async fn ways_from_root() -> Vec<Self> {
        let nobody = Account::named("nobody").await;
        let postgres = Account::named("postgres").await;
        // Inside a namespace any account does; as a real owner of files its own account is the better one.
        let inside = nobody.clone().or_else(|| postgres.clone());
        let mut ways: Vec<_> = inside.into_iter().map(Self::Namespace).collect();
        for account in [postgres, nobody].into_iter().flatten() {
            ways.push(Self::Other(account.clone(), Switch::Setpriv));
            ways.push(Self::Other(account, Switch::Su));
        }
        ways
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
            Self::Namespace(account) => {
                let mut command = Command::new("unshare");
                command
                    .arg("--user")
                    .arg(format!("--map-user={}", account.uid))
                    .arg(format!("--map-group={}", account.gid));
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
            Self::Namespace(_) => (0, 0),
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
            Self::Caller | Self::Namespace(_) => format!(
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
        let uid = id("-u", Some(name)).await.ok()?;
        let gid = id("-g", Some(name)).await.ok()?;
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

async fn id(what: &'static str, name: Option<&str>) -> Result<u32, DevPostgresError> {
    let mut command = Command::new("id");
    command.arg(what).args(name);
    let step =
        Step { what: "asking for a user's id", command, limit: QUICK, advice: "check that the program `id` is there." };
    let output = step.run().await?;
    output.trim().parse().map_err(|_| DevPostgresError::NoUser {
        tried: vec![format!("`id {what}`: it answered {output:?}, not a number")],
    })
}
