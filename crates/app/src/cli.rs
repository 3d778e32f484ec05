//! The commands of the binary (contract 5).

use std::ffi::OsString;

use clap::{Parser, Subcommand};
use domain::account::Email;

/// A small shop: catalogue, cart, orders, payments through Stripe Checkout.
#[derive(Debug, Parser)]
#[command(name = "app", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

impl Cli {
    /// What was asked for; without any command, to serve.
    #[must_use]
    pub fn command(self) -> Command {
        self.command.unwrap_or(Command::Serve)
    }
}

/// What the binary can do.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Serve the shop (the default).
    Serve,
    /// Bring the database's schema up to date.
    Migrate,
    /// Make an admin account; the password comes from `APP_ADMIN_PASSWORD`, or is asked for.
    CreateAdmin {
        /// The account's e-mail address.
        #[arg(long, value_parser = email)]
        email: Email,
        /// If the account is there: make it an admin, set its password, and end its sessions.
        #[arg(long)]
        promote: bool,
    },
    /// Set an account's password; it comes from `APP_ADMIN_PASSWORD`, or is asked for.
    SetPassword {
        /// The account's e-mail address.
        #[arg(long, value_parser = email)]
        email: Email,
    },
    /// Bring in demo products, a customer and an admin; not in production.
    SeedDemo,
    /// Prove that every product's stock is the sum of its ledger; exits with 1 and the products' ids if not.
    CheckStock,
    /// Ask the payment provider what the shop may have missed, and settle what differs; exits with 1 if something
    /// could not be asked. What must follow there, such as refunds, is done by the running shop.
    Reconcile {
        /// Change nothing, neither here nor at the provider; only tell what would be done.
        #[arg(long)]
        dry_run: bool,
    },
    /// Run a command with a `PostgreSQL` for tests beside it.
    #[command(hide = true)]
    WithTestPostgres {
        /// The command and its arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
}

fn email(text: &str) -> Result<Email, String> {
    Email::parse(text).map_err(|error| error.to_string())
}
