//! The settings of a process, read once, before anything starts, and with every mistake told at once (contract 5).

mod auth;
mod database;
mod dotenv;
mod fraud;
mod keys;
mod mistake;
mod orders;
mod rate_limit;
mod reader;
mod secret;
mod server;
mod sources;
mod store;
mod stripe;
mod telemetry;

use std::path::{Path, PathBuf};

pub use self::auth::{AuthSettings, development_jwt_secret};
pub use self::database::DatabaseSettings;
pub use self::fraud::{AccountAgeRule, FraudSettings};
pub use self::mistake::{InvalidSettings, Mistake};
pub use self::orders::OrderSettings;
pub use self::rate_limit::{RateLimit, RateLimitSettings};
use self::reader::{Noted, Reader};
pub use self::secret::Secret;
pub use self::server::ServerSettings;
use self::sources::Sources;
pub use self::sources::Stage;
pub use self::store::StoreSettings;
pub use self::stripe::{StripeAccount, StripeSettings};
pub use self::telemetry::TelemetrySettings;
use crate::environment::Environment;

/// All settings, checked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `APP_ENV`
    pub stage: Stage,
    /// `[server]`
    pub server: ServerSettings,
    /// `[database]`
    pub database: DatabaseSettings,
    /// `[auth]`
    pub auth: AuthSettings,
    /// `[stripe]`
    pub stripe: StripeSettings,
    /// `[orders]`
    pub orders: OrderSettings,
    /// `[fraud]`
    pub fraud: FraudSettings,
    /// `[store]`
    pub store: StoreSettings,
    /// `[rate_limit]`
    pub rate_limit: RateLimitSettings,
    /// `[log]` and `[telemetry]`
    pub telemetry: TelemetrySettings,
    /// `PG_BIN`: the folder of PostgreSQL's server programs.
    pub pg_bin: Option<PathBuf>,
}

impl Settings {
    /// Reads the settings of a process with `environment` that works in `directory`.
    pub fn load(environment: &Environment, directory: &Path) -> Result<Self, InvalidSettings> {
        let mut reader = Reader::new(Sources::gather(environment, directory));
        let settings = Self::read(&mut reader);
        reader.finish(settings)
    }

    fn read(reader: &mut Reader) -> Result<Self, Noted> {
        // Each is read before any is asked for its success, so that the mistakes of all are told.
        let server = ServerSettings::read(reader);
        let database = DatabaseSettings::read(reader);
        let auth = AuthSettings::read(reader);
        let stripe = StripeSettings::read(reader);
        let orders = OrderSettings::read(reader);
        let fraud = FraudSettings::read(reader);
        let store = StoreSettings::read(reader);
        let rate_limit = RateLimitSettings::read(reader);
        let telemetry = TelemetrySettings::read(reader);
        let pg_bin = reader.optional("development.pg_bin", "a folder, or none", |text| {
            (!text.trim().is_empty()).then(|| PathBuf::from(text))
        });
        Ok(Self {
            stage: reader.stage(),
            server: server?,
            database: database?,
            auth: auth?,
            stripe: stripe?,
            orders: orders?,
            fraud: fraud?,
            store: store?,
            rate_limit: rate_limit?,
            telemetry: telemetry?,
            pg_bin: pg_bin?,
        })
    }
}

#[cfg(test)]
mod tests;
