//! Puts the shop together: adapters behind ports, use cases on ports, routes on use cases, and the loops beside them.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use adapters_crypto::{Argon2Passwords, HasherSetupError, Hs256Tokens, JwtSecret, OpaqueTokens, SystemRandomness};
use adapters_postgres::{
    CatalogListener, LiveSessions, PgAuthGuard, PgCarts, PgIdempotency, PgOrders, PgPool, PgProducts, PgRetention,
    PgSessions, PgTasks, PgUsers, PoolConfig,
};
use adapters_stripe::{InvalidStripeConfig, StripeConfig, StripeGateway, StripeWebhooks};
use api_actix::application::{Shell, Timeouts, serve};
use api_actix::limits::{LimitRules, Limits};
use api_actix::routes::Services;
use api_actix::routes::health::{NotReady, Readiness};
use api_actix::routes::metrics::{MetricsPage, serve_alone};
use api_actix::routes::products::ProductCache;
use api_actix::writes::Writes;
use async_trait::async_trait;
use domain::account::{AccountPolicy, AccountService, AuthGuard, GuardPolicy, Unguarded};
use domain::cart::CartService;
use domain::catalog::{CatalogService, CatalogWatcher, Unwatched};
use domain::clock::{Clock, Ids};
use domain::money::Currency;
use domain::order::{OrderPolicy, OrderService, Reconciler};
use domain::retention::Retention;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::background::{Background, ErrandBell, Intervals};
use crate::metrics::{self, MetricsPlace};
use crate::system::http_threads;
use crate::vital_signs::VitalSigns;

/// What a shop is made of.
pub struct ShopParts {
    /// Where it is served.
    pub listener: TcpListener,
    /// Its database, migrated.
    pub database: PoolConfig,
    /// Its payment provider.
    pub stripe: StripeConfig,
    /// The rules of orders.
    pub orders: OrderPolicy,
    /// How often its loops begin a round.
    pub intervals: Intervals,
    /// How often clients may ask.
    pub limits: LimitRules,
    /// How many logins and the like may fail; `None` lets any number.
    pub auth_guard: Option<GuardPolicy>,
    /// Origins whose pages may call from browsers.
    pub cors_origins: Vec<String>,
    /// Where `/metrics` is found.
    pub metrics: MetricsPlace,
    /// What needs no provider.
    pub core: CoreParts,
}

/// What the use cases are made of that need no provider.
pub struct CoreParts {
    /// Signs access tokens.
    pub jwt_secret: JwtSecret,
    /// Accepted as well, while secrets are rotated.
    pub previous_jwt_secrets: Vec<JwtSecret>,
    /// The rules of logins.
    pub accounts: AccountPolicy,
    /// The one currency.
    pub currency: Currency,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// New ids.
    pub ids: Arc<dyn Ids>,
}

/// Why a shop did not start.
#[derive(Debug, thiserror::Error)]
pub enum ShopStartError {
    /// The password hasher could not be set up.
    #[error("passwords can't be hashed")]
    Hasher(#[from] HasherSetupError),
    /// The Stripe settings contradict each other.
    #[error(transparent)]
    Stripe(#[from] InvalidStripeConfig),
    /// The HTTP server could not be started.
    #[error("the HTTP server could not be started")]
    Server(#[source] io::Error),
}

/// The use cases of a shop, on their adapters.
#[derive(Clone)]
pub struct UseCases {
    /// Accounts.
    pub accounts: AccountService,
    /// The catalogue.
    pub catalog: CatalogService,
    /// Carts.
    pub cart: CartService,
    /// The one currency.
    pub currency: Currency,
}

impl UseCases {
    /// Puts the use cases that need no provider on their adapters. What the shop's own commands do is not guarded.
    pub fn new(parts: &CoreParts, pool: &PgPool) -> Result<Self, HasherSetupError> {
        let clock = Arc::clone(&parts.clock);
        let ids = Arc::clone(&parts.ids);
        let live = LiveSessions::default();
        Ok(Self {
            accounts: AccountService {
                users: Arc::new(PgUsers::new(pool.clone()).remembering(live.clone())),
                sessions: Arc::new(PgSessions::new(pool.clone()).remembering(live)),
                guard: Arc::new(Unguarded),
                hasher: Arc::new(Argon2Passwords::new(Arc::new(SystemRandomness))?),
                access_tokens: Arc::new(Hs256Tokens::new(&parts.jwt_secret, &parts.previous_jwt_secrets)),
                refresh_tokens: Arc::new(OpaqueTokens::new(Arc::new(SystemRandomness))),
                clock: Arc::clone(&clock),
                ids: Arc::clone(&ids),
                policy: parts.accounts,
            },
            catalog: CatalogService {
                products: Arc::new(PgProducts::new(pool.clone(), parts.currency)),
                clock: Arc::clone(&clock),
                ids,
            },
            cart: CartService { carts: Arc::new(PgCarts::new(pool.clone(), parts.currency)), clock },
            currency: parts.currency,
        })
    }
}

/// Puts the use cases that need the provider on their adapters. What must follow at the provider rings the bell.
pub fn reconciler(
    pool: &PgPool,
    stripe: &StripeConfig,
    system: (Arc<dyn Clock>, Arc<dyn Ids>),
    policy: OrderPolicy,
    bell: &ErrandBell,
) -> Result<Reconciler, InvalidStripeConfig> {
    watched_reconciler(pool, stripe, system, policy, bell, Arc::new(Unwatched))
}

/// The same, and `watcher` hears of stock that moves.
fn watched_reconciler(
    pool: &PgPool,
    stripe: &StripeConfig,
    (clock, ids): (Arc<dyn Clock>, Arc<dyn Ids>),
    policy: OrderPolicy,
    bell: &ErrandBell,
    watcher: Arc<dyn CatalogWatcher>,
) -> Result<Reconciler, InvalidStripeConfig> {
    let webhooks = Arc::new(StripeWebhooks::new(stripe)?);
    let store = Arc::new(PgOrders::new(pool.clone(), Arc::clone(&ids), webhooks).watched_by(watcher));
    let orders = OrderService {
        orders: Arc::clone(&store) as _,
        events: Arc::clone(&store) as _,
        tasks: Arc::new(PgTasks::new(pool.clone())),
        gateway: Arc::new(StripeGateway::new(stripe)?),
        errands: Arc::new(bell.clone()),
        clock,
        ids,
        policy,
    };
    Ok(Reconciler { orders, unsettled: store })
}

/// A running shop.
pub struct Shop {
    address: SocketAddr,
    server: ServerHandle,
    serving: JoinHandle<io::Result<()>>,
    background: Background,
    metrics_server: Option<ServerHandle>,
    _vital_signs: VitalSigns,
    writes: Arc<Writes>,
}

impl Shop {
    /// How long work in flight may take to end when the shop stops (contract 5: exit within 30 s).
    const PATIENCE: Duration = Duration::from_secs(10);

    /// Starts a shop on the present runtime; it serves when this returns.
    pub fn start(parts: ShopParts) -> Result<Self, ShopStartError> {
        // First, so that nothing that is counted gets lost.
        let counted = metrics::counted();
        let pool = PgPool::new(parts.database.clone());
        let UseCases { accounts, catalog, cart, .. } = UseCases::new(&parts.core, &pool)?;
        let auth_guard: Arc<dyn AuthGuard> = match parts.auth_guard {
            Some(policy) => Arc::new(PgAuthGuard::new(pool.clone(), policy)),
            None => Arc::new(Unguarded),
        };
        let accounts = AccountService { guard: Arc::clone(&auth_guard), ..accounts };
        let CoreParts { clock, ids, currency, .. } = parts.core;
        let products = Arc::new(ProductCache::default());
        let watcher: Arc<dyn CatalogWatcher> = Arc::clone(&products) as _;
        let repository = PgProducts::new(pool.clone(), currency).watched_by(Arc::clone(&watcher));
        let catalog = CatalogService { products: Arc::new(repository), ..catalog };
        let webhooks = Arc::new(StripeWebhooks::new(&parts.stripe)?);
        let bell = ErrandBell::default();
        let retention = Retention { store: Arc::new(PgRetention::new(pool.clone())), clock: Arc::clone(&clock) };
        let system = (clock, Arc::clone(&ids));
        let reconciler = watched_reconciler(&pool, &parts.stripe, system, parts.orders, &bell, Arc::clone(&watcher))?;
        let orders = reconciler.orders.clone();
        let writes = Arc::new(Writes::on(Handle::current()));
        let shell = Shell {
            shop: api_actix::application::Shop { currency },
            ids,
            authenticator: Arc::new(accounts.clone()),
            readiness: Arc::new(SchemaReadiness(pool.clone())),
            writes: Arc::clone(&writes),
            limits: Arc::new(Limits::new(parts.limits)),
            auth_guard,
            cors_origins: parts.cors_origins,
            timeouts: Timeouts::default(),
            workers: http_threads(),
        };
        let vital_signs = VitalSigns::watch(pool.clone(), orders.clock.clone(), counted.clone());
        let page = counted.page();
        let (beside, metrics_server) = match parts.metrics {
            MetricsPlace::Beside => (Some(page), None),
            MetricsPlace::Alone(listener) => (None, Some(start_metrics(listener, page)?)),
            MetricsPlace::Nowhere => (None, None),
        };
        let services = Services {
            accounts,
            catalog,
            products,
            cart,
            orders: orders.clone(),
            keys: Arc::new(PgIdempotency::new(pool)),
            metrics: beside,
            events: webhooks,
        };
        let address = parts.listener.local_addr().map_err(ShopStartError::Server)?;
        let (open, api) = (services.clone(), services);
        let server = serve(
            parts.listener,
            shell,
            move |config| open.mount_open(config),
            move |config| api.mount_api(config),
            std::future::pending(),
        )
        .map_err(ShopStartError::Server)?;
        let mut background = Background::start(reconciler, retention, &bell, parts.intervals);
        background.until_stopped(CatalogListener::new(parts.database.url, watcher).listen());
        Ok(Self {
            address,
            server: server.handle(),
            serving: tokio::spawn(server),
            background,
            metrics_server,
            _vital_signs: vital_signs,
            writes,
        })
    }

    /// Where it is served.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more requests, lets those in flight and the work behind them end, and stops.
    pub async fn stop(self) -> io::Result<()> {
        self.server.stop(true).await;
        let served = self.serving.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        self.background.stop(Self::PATIENCE).await;
        if !self.writes.all_ended(Self::PATIENCE).await {
            tracing::warn!("writes under way did not end in time and are cut short");
        }
        if let Some(server) = self.metrics_server {
            server.stop(true).await;
        }
        served
    }
}

/// Serves `/metrics` alone until the handle is told to stop.
fn start_metrics(listener: TcpListener, page: Arc<dyn MetricsPage>) -> Result<ServerHandle, ShopStartError> {
    let server = serve_alone(listener, page).map_err(ShopStartError::Server)?;
    let handle = server.handle();
    tokio::spawn(server);
    Ok(handle)
}

/// Ready while the database answers and its schema is at least as new as this binary needs.
struct SchemaReadiness(PgPool);

#[async_trait]
impl Readiness for SchemaReadiness {
    async fn check(&self) -> Result<(), NotReady> {
        let pending = self.0.pending_migrations().await.map_err(|error| NotReady(error.to_string()))?;
        if pending.is_empty() {
            Ok(())
        } else {
            Err(NotReady(format!("the database lacks the migrations {}; run `app migrate`", pending.join(", "))))
        }
    }
}
