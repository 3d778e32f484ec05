//! What each command of the binary does, and how its end is told: exit code 0, or 1 and the reason on standard error.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use adapters_crypto::HasherSetupError;
use adapters_postgres::PgProducts;
use adapters_stripe::{InvalidStripeConfig, StripeConfig};
use domain::account::{CreateAdmin, CreateAdminError, Email, SetPasswordError};
use domain::catalog::ProductRepository;
use domain::clock::{Clock, Ids};
use domain::id::ProductId;
use domain::order::{ReconcileMode, Reconciliation};
use domain::store::StoreError;

use crate::background::ErrandBell;
use crate::cli::Command;
use crate::config::{Settings, Stage, StripeSettings};
use crate::database::{Database, DatabaseError};
use crate::environment::Environment;
use crate::password_prompt::{PasswordError, new_password};
use crate::progress::Progress;
use crate::seed_demo::{self, SeedError};
use crate::serve::{self, ServeError, serve};
use crate::shop::{self, UseCases};
use crate::system::{SystemClock, SystemIds};
use crate::{logging, reconciliation, with_test_postgres};

/// Why a command did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error(transparent)]
    Password(#[from] PasswordError),
    #[error("passwords can't be hashed: {0}")]
    Hasher(#[from] HasherSetupError),
    #[error("{0} has an account already. To do: repeat with --promote to make it an admin with this password")]
    EmailTaken(Email),
    #[error("there is no account with the e-mail {0}")]
    NoAccount(Email),
    #[error("seed-demo is refused with APP_ENV=production: its passwords are known to everybody")]
    DemoInProduction,
    #[error(transparent)]
    Seed(#[from] SeedError),
    #[error("the database failed: {}", chain(.0))]
    Store(#[from] StoreError),
    #[error(transparent)]
    TestPostgres(#[from] with_test_postgres::WithTestPostgresError),
    #[error(
        "there is no payment provider to ask: the built-in simulator lives and dies with `app serve`. To do: set \
         STRIPE_API_KEY and STRIPE_WEBHOOK_SECRET, and APP__STRIPE__API_BASE if it is not Stripe itself"
    )]
    NoProvider,
    #[error(transparent)]
    Stripe(#[from] InvalidStripeConfig),
    #[error("the working directory can't be told: {0}")]
    Directory(std::io::Error),
}

/// An error with the errors that caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        told.push_str(": ");
        told.push_str(&error.to_string());
        cause = error.source();
    }
    told
}

/// Runs a command to its end.
pub async fn run(command: Command) -> ExitCode {
    let environment = Environment::of_process();
    if let Command::WithTestPostgres { command } = &command {
        return with_postgres(command).await;
    }
    let directory = match std::env::current_dir().map_err(CommandError::Directory) {
        Ok(directory) => directory,
        Err(error) => return fail(&error),
    };
    let settings = match Settings::load(&environment, &directory) {
        Ok(settings) => settings,
        Err(mistakes) => return fail(&mistakes),
    };
    let traces = match logging::start(settings.stage, &settings.telemetry) {
        Ok(traces) => traces,
        Err(error) => return fail(&error),
    };
    let context = Context { environment, data: serve::data_folder(&directory), settings };
    let code = match context.run(command).await {
        Ok(code) => code,
        Err(error) => fail(&error),
    };
    if let Some(traces) = traces {
        traces.end().await;
    }
    code
}

/// Tells why the process fails, on standard error.
pub fn fail(error: &dyn std::error::Error) -> ExitCode {
    say(&format!("error: {}\n", chain(error)), &mut std::io::stderr());
    ExitCode::FAILURE
}

/// A closed terminal is no reason to stop.
fn say(text: &str, to: &mut dyn std::io::Write) {
    let _closed = to.write_all(text.as_bytes()).and_then(|()| to.flush());
}

async fn with_postgres(command: &[std::ffi::OsString]) -> ExitCode {
    let Some((program, arguments)) = command.split_first() else { return ExitCode::FAILURE };
    match with_test_postgres::run(program, arguments).await {
        // Ended by a signal: no code of its own.
        Ok(status) => status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from),
        Err(error) => fail(&CommandError::from(error)),
    }
}

/// How many products one statement compares with their ledgers.
const STOCK_BATCH: u32 = 500;

/// The products whose stock differs from their ledger.
async fn drifted(products: &dyn ProductRepository) -> Result<Vec<ProductId>, StoreError> {
    let total = products.count().await?;
    let progress = Progress::of("products checked", total);
    let (mut drifted, mut checked, mut last) = (Vec::new(), 0, None);
    loop {
        let batch = products.check_stock(last, STOCK_BATCH).await?;
        drifted.extend(batch.drifted);
        checked += batch.checked;
        progress.at(checked, total.max(checked));
        last = batch.last;
        if last.is_none() {
            return Ok(drifted);
        }
    }
}

/// What commands work with.
struct Context {
    environment: Environment,
    data: PathBuf,
    settings: Settings,
}

impl Context {
    async fn run(&self, command: Command) -> Result<ExitCode, CommandError> {
        match command {
            Command::Serve => serve(&self.settings, &self.data).await?,
            Command::Migrate => self.migrate().await?,
            Command::CreateAdmin { email, promote } => self.create_admin(email, promote).await?,
            Command::SetPassword { email } => self.set_password(email).await?,
            Command::SeedDemo => self.seed_demo().await?,
            Command::CheckStock => return self.check_stock().await,
            Command::Reconcile { dry_run } => return self.reconcile(dry_run).await,
            // It needs no settings and ran before they were read.
            Command::WithTestPostgres { command } => return Ok(with_postgres(&command).await),
        }
        Ok(ExitCode::SUCCESS)
    }

    fn data(&self) -> &Path {
        &self.data
    }

    async fn migrate(&self) -> Result<(), CommandError> {
        let database = Database::open(&self.settings, self.data()).await?;
        let applied = database.migrate().await.map_err(DatabaseError::from);
        self.close(database).await?;
        let told = match applied? {
            applied if applied.is_empty() => "The schema is up to date.\n".to_owned(),
            applied => format!("Applied {}.\n", applied.join(", ")),
        };
        say(&told, &mut std::io::stdout());
        Ok(())
    }

    async fn create_admin(&self, email: Email, promote: bool) -> Result<(), CommandError> {
        let password = new_password(&self.environment, email.as_str())?;
        let command = CreateAdmin { email: email.clone(), password, promote };
        let created = self.with_use_cases(async |cases| Ok(cases.accounts.create_admin(command).await)).await?;
        match created {
            Ok(user) => say(&format!("{} is an admin.\n", user.email.as_str()), &mut std::io::stdout()),
            Err(CreateAdminError::EmailTaken) => return Err(CommandError::EmailTaken(email)),
            Err(CreateAdminError::Hash(error)) => return Err(SeedError::from(error).into()),
            Err(CreateAdminError::Store(error)) => return Err(error.into()),
        }
        Ok(())
    }

    async fn set_password(&self, email: Email) -> Result<(), CommandError> {
        let password = new_password(&self.environment, email.as_str())?;
        let address = email.clone();
        let set = self.with_use_cases(async |cases| Ok(cases.accounts.set_password(address, &password).await)).await?;
        match set {
            Ok(user) => {
                let told = format!("The password of {} is set; its sessions have ended.\n", user.email.as_str());
                say(&told, &mut std::io::stdout());
            }
            Err(SetPasswordError::NotFound) => return Err(CommandError::NoAccount(email)),
            Err(SetPasswordError::Hash(error)) => return Err(SeedError::from(error).into()),
            Err(SetPasswordError::Store(error)) => return Err(error.into()),
        }
        Ok(())
    }

    async fn seed_demo(&self) -> Result<(), CommandError> {
        if self.settings.stage == Stage::Production {
            return Err(CommandError::DemoInProduction);
        }
        let seeded = self
            .with_use_cases(async |cases| {
                let progress = Progress::of("products brought in", 0);
                Ok(seed_demo::seed(cases, |done, total| progress.at(done, total)).await?)
            })
            .await?;
        let told = format!(
            "Brought in {} products and {} accounts. Log in as {} or {} with the password {}.\n",
            seeded.products,
            seeded.accounts,
            seed_demo::CUSTOMER_EMAIL,
            seed_demo::ADMIN_EMAIL,
            seed_demo::PASSWORD
        );
        say(&told, &mut std::io::stdout());
        Ok(())
    }

    /// Contract 5: exit code 1 and the ids of the products on drift.
    async fn check_stock(&self) -> Result<ExitCode, CommandError> {
        let database = Database::open(&self.settings, self.data()).await?;
        let products = PgProducts::new(database.pool(), self.settings.store.currency);
        let drifted = drifted(&products).await;
        self.close(database).await?;
        let drifted = drifted?;
        if drifted.is_empty() {
            say("Every product's stock is the sum of its ledger.\n", &mut std::io::stdout());
            return Ok(ExitCode::SUCCESS);
        }
        let ids: Vec<String> = drifted.iter().map(ToString::to_string).collect();
        say(&format!("{}\n", ids.join("\n")), &mut std::io::stdout());
        say("error: the stock of these products differs from their ledger.\n", &mut std::io::stderr());
        Ok(ExitCode::FAILURE)
    }

    /// Contract 5: a line per order, and exit code 1 if something could not be asked.
    async fn reconcile(&self, dry_run: bool) -> Result<ExitCode, CommandError> {
        let StripeSettings::Account(account) = &self.settings.stripe else { return Err(CommandError::NoProvider) };
        let stripe = serve::stripe_config(account);
        let database = Database::open(&self.settings, self.data()).await?;
        let mode = if dry_run { ReconcileMode::DryRun } else { ReconcileMode::Settle };
        let reconciled = self.reconcile_on(&database, &stripe, mode).await;
        self.close(database).await?;
        let report = reconciled?;
        say(&reconciliation::told(&report, mode), &mut std::io::stdout());
        if report.unasked.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        say(&reconciliation::left_unknown(&report), &mut std::io::stderr());
        Ok(ExitCode::FAILURE)
    }

    async fn reconcile_on(
        &self,
        database: &Database,
        stripe: &StripeConfig,
        mode: ReconcileMode,
    ) -> Result<Reconciliation, CommandError> {
        let system: (Arc<dyn Clock>, Arc<dyn Ids>) = (Arc::new(SystemClock), Arc::new(SystemIds));
        let policy = serve::order_policy(&self.settings);
        let reconciler = shop::reconciler(&database.pool(), stripe, system, policy, &ErrandBell::default())?;
        let progress = Progress::of("orders asked about", 0);
        Ok(reconciler.reconcile_telling(mode, &|| false, &|asked| progress.at(asked as u64, 0)).await?)
    }

    /// Runs `work` on the use cases that need no provider, and gives the database back.
    async fn with_use_cases<T>(
        &self,
        work: impl AsyncFnOnce(&UseCases) -> Result<T, CommandError>,
    ) -> Result<T, CommandError> {
        let database = Database::open(&self.settings, self.data()).await?;
        let worked = match self.use_cases(&database) {
            Ok(use_cases) => work(&use_cases).await,
            Err(error) => Err(error),
        };
        self.close(database).await?;
        worked
    }

    fn use_cases(&self, database: &Database) -> Result<UseCases, CommandError> {
        Ok(UseCases::new(&serve::core_parts(&self.settings, self.data())?, &database.pool())?)
    }

    async fn close(&self, database: Database) -> Result<(), CommandError> {
        Ok(database.close().await.map_err(DatabaseError::from)?)
    }
}
