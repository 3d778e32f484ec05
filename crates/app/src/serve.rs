//! `app serve`: the whole shop, from its settings to its last request.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use adapters_crypto::{JwtSecret, SecretTooShort};
use adapters_stripe::StripeConfig;
use api_actix::limits::{LimitRules, Rate};
use domain::account::{AccountPolicy, GuardLimit, GuardPolicy};
use domain::fraud::{AccountAgeRule, FraudLimits};
use domain::money::Money;
use domain::order::OrderPolicy;
use stripe_simulator::{SimulatorConfig, StripeSimulator, WebhookTarget};
use tokio::net::TcpSocket;
use tokio::signal::unix::{SignalKind, signal};

use crate::background::Intervals;
use crate::config::{RateLimit, Secret, Settings, Stage, StripeAccount, StripeSettings, development_jwt_secret};
use crate::database::{Database, DatabaseError};
use crate::dev_postgres::DevPostgresError;
use crate::metrics::MetricsPlace;
use crate::seed_demo::{self, SeedError};
use crate::shop::{CoreParts, Shop, ShopParts, ShopStartError, UseCases};
use crate::system::{SystemClock, SystemIds};
use crate::welcome::Welcome;

/// How often the provider is asked what was missed.
const RECONCILE_INTERVAL: Duration = Duration::from_mins(10);

/// Why the shop is not up, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// There is no database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The private PostgreSQL did not stop.
    #[error(transparent)]
    Stop(#[from] DevPostgresError),
    /// The secret of this machine can't be made or read.
    #[error("the development JWT secret under .data/ can't be used: {0}")]
    DevelopmentSecret(#[source] io::Error),
    /// The signing secret is too short.
    #[error("JWT_SECRET: {0}")]
    JwtSecret(#[from] SecretTooShort),
    /// The address is taken, or not this machine's.
    #[error("cannot listen on {address}: {source}. Stop what listens there, or set APP__SERVER__PORT to a free port")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The built-in simulator did not start.
    #[error(transparent)]
    Simulator(#[from] stripe_simulator::StartError),
    /// The shop did not start.
    #[error(transparent)]
    Shop(#[from] ShopStartError),
    /// The demo data could not be brought in.
    #[error(transparent)]
    Seed(#[from] SeedError),
    /// The system refuses signal handlers, or the server failed.
    #[error("the server failed: {0}")]
    Io(#[from] io::Error),
}

/// Serves until SIGTERM or SIGINT; then requests in flight may finish.
pub async fn serve(settings: &Settings, data: &Path) -> Result<(), ServeError> {
    let database = Database::open(settings, data).await?;
    let served = serve_on(settings, data, &database).await;
    let closed = database.close().await;
    served?;
    Ok(closed?)
}

async fn serve_on(settings: &Settings, data: &Path, database: &Database) -> Result<(), ServeError> {
    // Handlers first: a signal during the start is kept and ends it in order.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    if settings.database.migrate_on_start {
        database.migrate().await.map_err(DatabaseError::from)?;
    }
    let listener = listen(settings.server.address)?;
    let address = listener.local_addr()?;
    let (stripe, simulator) = payment_provider(&settings.stripe, address).await?;
    let core = core_parts(settings, data)?;
    if database.is_private() {
        let use_cases = UseCases::new(&core, &database.pool()).map_err(ShopStartError::from)?;
        seed_demo::seed_if_empty(&use_cases).await?;
    }
    let shop = Shop::start(ShopParts {
        listener,
        database: database.config.clone(),
        stripe,
        orders: order_policy(settings),
        intervals: Intervals { sweep: settings.orders.sweep_interval, reconcile: RECONCILE_INTERVAL },
        limits: limit_rules(settings),
        auth_guard: guard_policy(settings),
        cors_origins: settings.server.cors_origins.clone(),
        metrics: metrics_place(settings)?,
        core,
    })?;
    tracing::info!(%address, "the shop is open");
    if database.is_private() {
        Welcome { address, simulator: simulator.as_ref().map(|simulator| simulator.base_url().to_owned()) }.print();
    }
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM: the shop closes"),
        _ = interrupt.recv() => tracing::info!("SIGINT: the shop closes"),
    }
    shop.stop().await?;
    if let Some(simulator) = simulator {
        simulator.stop().await;
    }
    tracing::info!("the shop is closed");
    Ok(())
}

/// In production `/metrics` has an address of its own or none: it is the operator's, not the customers'.
fn metrics_place(settings: &Settings) -> Result<MetricsPlace, ServeError> {
    match settings.server.metrics_address {
        Some(address) => Ok(MetricsPlace::Alone(listen(address)?)),
        None if settings.stage == Stage::Production => Ok(MetricsPlace::Nowhere),
        None => Ok(MetricsPlace::Beside),
    }
}

/// The most connections that wait to be accepted. In a rush they come faster than a busy processor looks; one that finds
/// no place is dropped by the kernel, and its client tries again after a second.
const BACKLOG: u32 = 4096;

fn listen(address: SocketAddr) -> Result<TcpListener, ServeError> {
    let listening = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // Else a restart would have to wait until the last connections of the one before are forgotten.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)?.into_std()
    };
    listening().map_err(|source| ServeError::Listen { address, source })
}

/// The configured provider, or the built-in simulator, which sends its events to the shop at `address`.
async fn payment_provider(
    settings: &StripeSettings,
    address: SocketAddr,
) -> Result<(StripeConfig, Option<StripeSimulator>), ServeError> {
    match settings {
        StripeSettings::Account(account) => Ok((stripe_config(account), None)),
        StripeSettings::Simulator => {
            let simulator = StripeSimulator::start(SimulatorConfig::default()).await?;
            let secret = format!("whsec_{}", crate::system::random_hex());
            let url = format!("http://127.0.0.1:{}/api/v1/webhooks/stripe", address.port());
            simulator.control().set_webhook_endpoints(vec![WebhookTarget { url, secret: secret.clone() }]);
            let key = adapters_stripe::Secret::new("sk_test_simulator");
            let mut config = StripeConfig::new(key, vec![adapters_stripe::Secret::new(secret)]);
            config.api_base = Some(simulator.base_url().to_owned());
            Ok((config, Some(simulator)))
        }
    }
}

/// How to reach a configured account.
pub(crate) fn stripe_config(account: &StripeAccount) -> StripeConfig {
    let wrap = |secret: &Secret| adapters_stripe::Secret::new(secret.expose());
    let secrets = account.webhook_secrets.iter().map(wrap).collect();
    let mut config = StripeConfig::new(wrap(&account.api_key), secrets);
    config.api_base.clone_from(&account.api_base);
    config
}

/// What the settings make of the use cases that need no provider.
pub(crate) fn core_parts(settings: &Settings, data: &Path) -> Result<CoreParts, ServeError> {
    let secret = match &settings.auth.jwt_secret {
        Some(secret) => secret.clone(),
        None => development_jwt_secret(data).map_err(ServeError::DevelopmentSecret)?,
    };
    let previous = settings.auth.previous_jwt_secrets.iter().map(|secret| JwtSecret::new(secret.expose()));
    Ok(CoreParts {
        jwt_secret: JwtSecret::new(secret.expose())?,
        previous_jwt_secrets: previous.collect::<Result<_, _>>()?,
        accounts: AccountPolicy {
            access_ttl_seconds: whole_seconds(settings.auth.access_ttl),
            refresh_ttl_seconds: whole_seconds(settings.auth.refresh_ttl),
        },
        currency: settings.store.currency,
        clock: Arc::new(SystemClock),
        ids: Arc::new(SystemIds),
    })
}

fn limit_rules(settings: &Settings) -> LimitRules {
    let limits = &settings.rate_limit;
    let rate = |limit: RateLimit| limits.enabled.then_some(Rate { count: limit.count, period: limit.period });
    LimitRules {
        global: rate(limits.global),
        checkout: rate(limits.checkout),
        exempt: limits.exempt.clone(),
        trusted_proxies: settings.server.trusted_proxies.clone(),
    }
}

fn guard_policy(settings: &Settings) -> Option<GuardPolicy> {
    let limits = &settings.rate_limit;
    let limit = |limit: RateLimit| GuardLimit { count: limit.count, period: limit.period };
    limits.enabled.then(|| GuardPolicy {
        address_failures: limit(limits.auth_failures),
        account_failures: GuardPolicy::ACCOUNT_FAILURES,
        registrations: limit(limits.registrations),
    })
}

pub(crate) fn order_policy(settings: &Settings) -> OrderPolicy {
    let orders = &settings.orders;
    let currency = settings.store.currency;
    OrderPolicy {
        payment_window_seconds: whole_seconds(orders.payment_window),
        async_wait_seconds: whole_seconds(orders.async_wait),
        provider_grace_seconds: whole_seconds(orders.provider_grace),
        min_total: Money::from_minor(orders.min_total_minor, currency),
        max_total: Money::from_minor(orders.max_total_minor, currency),
        fraud: FraudLimits {
            max_pending_orders: settings.fraud.max_pending_orders,
            max_daily_cancellations: settings.fraud.max_daily_cancellations,
            max_daily_expiries: settings.fraud.max_daily_expiries,
            max_units_per_product: settings.fraud.max_units_per_product,
            account_age: settings.fraud.account_age.map(|rule| AccountAgeRule {
                min_age_seconds: whole_seconds(rule.min_age),
                above_total: Money::from_minor(rule.above_total_minor, currency),
            }),
        },
        public_url: settings.server.public_url.clone(),
    }
}

/// Settings are read as whole seconds, none of which comes near the bound.
fn whole_seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}

/// Where a process keeps what it makes for development, beside where it was started.
#[must_use]
pub fn data_folder(directory: &Path) -> PathBuf {
    directory.join(".data")
}
