//! A whole shop of one test: a database of its own, a simulated Stripe, one or more instances of the app on free
//! ports, and a clock that can be moved. When it is closed, the books must be right: see [`crate::invariants`].

#![allow(clippy::panic, clippy::expect_used, clippy::missing_panics_doc, reason = "what fails here fails the test")]

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use adapters_crypto::JwtSecret;
use adapters_postgres::{DatabaseUrl, PgPool, PoolConfig};
use adapters_stripe::{CallLimits, Secret, StripeConfig};
use api_actix::limits::LimitRules;
use app::background::{ErrandBell, Intervals};
use app::metrics::MetricsPlace;
use app::shop::{CoreParts, Shop, ShopParts, reconciler};
use app::system::SystemIds;
use domain::account::{AccountPolicy, GuardPolicy, Role};
use domain::clock::{Clock, Ids, Timestamp};
use domain::fraud::FraudLimits;
use domain::money::{Currency, Money};
use domain::order::{OrderPolicy, Reconciler};
use serde_json::Value;
use stripe_simulator::{
    Control, Fault, FaultKind, FaultPhase, SimulatorConfig, StripeSimulator, WebhookRetry, WebhookTarget, sign_payload,
};

use crate::actors::{Admin, Customer};
use crate::clock::TestClock;
use crate::database::Database;
use crate::http::{Http, Reply};
use crate::invariants;
use crate::people::{LoggedIn, log_in_new};
use crate::plan_tap::{PlanTap, SeenPlan};
use crate::settling::{let_leases_run_out, settle};
use crate::wire::{Order, Product};

/// Signs the provider's events.
pub const WEBHOOK_SECRET: &str = "whsec_0123456789abcdef0123456789abcdef";

/// Signs access tokens.
pub const JWT_SECRET: &str = "a secret of at least thirty-two bytes";

/// How a test's shop is set up.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The rules of orders; the contract's defaults unless changed.
    pub orders: OrderPolicy,
    /// The bounds of calls to the provider; tight where waiting would only cost time.
    pub calls: CallLimits,
    /// The pause between two sweeps; short, so that moving the clock is enough.
    pub sweep_interval: Duration,
    /// How often the instances reconcile among them; a day, unless a test is about that.
    pub reconcile_interval: Duration,
    /// How many instances serve.
    pub instances: usize,
    /// Which signatures of events are accepted.
    pub webhook_secrets: Vec<String>,
    /// The most connections of one instance to the database.
    pub connections: u32,
    /// How often clients may ask; without limits unless changed, since all tests call from one address.
    pub limits: LimitRules,
    /// How many logins and the like may fail; any number unless changed.
    pub auth_guard: Option<GuardPolicy>,
    /// Origins whose pages may call from browsers.
    pub cors_origins: Vec<String>,
    /// How many of the provider's events are expected to end as `FAILED`.
    pub failed_events: i64,
    /// Whether the plans of all statements are heard: see [`TestShop::plans`].
    pub taps_plans: bool,
}

impl Plan {
    /// Orders that are overdue stay as they are: nobody sweeps.
    pub fn never_sweeps(&mut self) {
        // The first sweep is at the start, when there is no order yet.
        self.sweep_interval = Duration::from_secs(3600);
    }
}

impl Default for Plan {
    fn default() -> Self {
        let usd = |amount_minor| Money::from_minor(amount_minor, Currency::USD);
        Self {
            orders: OrderPolicy {
                payment_window_seconds: 1800,
                async_wait_seconds: 259_200,
                provider_grace_seconds: 600,
                min_total: usd(50),
                max_total: usd(99_999_999),
                fraud: FraudLimits::default(),
                public_url: "http://shop.test".to_owned(),
            },
            calls: CallLimits {
                first_pause: Duration::from_millis(50),
                cool_down: Duration::from_millis(200),
                ..CallLimits::default()
            },
            sweep_interval: Duration::from_millis(100),
            reconcile_interval: Duration::from_secs(24 * 3600),
            instances: 1,
            webhook_secrets: vec![WEBHOOK_SECRET.to_owned()],
            connections: 8,
            limits: LimitRules::default(),
            auth_guard: None,
            cors_origins: Vec::new(),
            failed_events: 0,
            taps_plans: false,
        }
    }
}

/// A running shop. A test ends it with [`TestShop::close`]; one that forgets fails.
pub struct TestShop {
    instances: Vec<Shop>,
    addresses: Vec<SocketAddr>,
    plan: Plan,
    /// Where its instances find the database.
    database_url: DatabaseUrl,
    tap: Option<PlanTap>,
    /// Speaks with the shop as nobody.
    pub anonymous: Http,
    /// The payment provider.
    pub stripe: StripeSimulator,
    /// The shop's time. [`TestShop::passes`] moves the provider's with it.
    pub clock: Arc<TestClock>,
    is_closed: bool,
    /// The database, to look past the app.
    pub database: Database,
}

impl TestShop {
    /// A shop with the contract's defaults.
    pub async fn open() -> Self {
        Self::with(|_| ()).await
    }

    /// A shop to one's liking.
    pub async fn with(change: impl FnOnce(&mut Plan)) -> Self {
        let mut plan = Plan::default();
        change(&mut plan);
        let stripe = StripeSimulator::start(SimulatorConfig {
            webhook_retry: WebhookRetry {
                first_pause: Duration::from_millis(50),
                longest_pause: Duration::from_millis(500),
                ..WebhookRetry::default()
            },
            signs_by_own_clock: true,
            ..SimulatorConfig::default()
        });
        let (database, stripe) = tokio::join!(Database::migrated(), stripe);
        let stripe = stripe.expect("a simulator");
        let clock = Arc::new(TestClock::default());
        let tap = if plan.taps_plans { Some(PlanTap::before(&database).await) } else { None };
        let database_url = tap.as_ref().map_or(&database.url, |tap| &tap.url).clone();
        let anywhere = vec![SocketAddr::from(([127, 0, 0, 1], 0)); plan.instances];
        let instances = start(&anywhere, &plan, &database_url, &stripe, &clock);
        let addresses: Vec<SocketAddr> = instances.iter().map(Shop::address).collect();
        let bases = addresses.iter().map(|address| format!("http://{address}"));
        let shop = Self {
            anonymous: Http::with(bases.collect()),
            instances,
            addresses,
            plan,
            database_url,
            tap,
            stripe,
            clock,
            is_closed: false,
            database,
        };
        let url = format!("http://{}/api/v1/webhooks/stripe", shop.addresses[0]);
        let secret = shop.plan.webhook_secrets[0].clone();
        shop.provider().set_webhook_endpoints(vec![WebhookTarget { url, secret }]);
        shop
    }

    /// How it is set up.
    #[must_use]
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What can be done to the provider.
    #[must_use]
    pub fn provider(&self) -> &Control {
        self.stripe.control()
    }

    /// The shop's time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Time passes, for the shop and for the provider.
    pub fn passes(&self, seconds: i64) {
        self.clock.advance(seconds);
        self.provider().advance_clock(seconds);
    }

    /// Stops all instances.
    pub async fn stops(&mut self) {
        for shop in std::mem::take(&mut self.instances) {
            shop.stop().await.expect("a good end");
        }
    }

    /// Stops all instances and starts them anew at the same addresses, as after a deployment.
    pub async fn restarts(&mut self) {
        self.stops().await;
        self.instances = start(&self.addresses, &self.plan, &self.database_url, &self.stripe, &self.clock);
    }

    // --- people -------------------------------------------------------------------------------------------------

    /// A new customer who is logged in.
    pub async fn customer(&self) -> Customer {
        self.customers(1).await.pop().expect("one")
    }

    /// So many new customers who are logged in.
    pub async fn customers(&self, count: usize) -> Vec<Customer> {
        let people = log_in_new(&self.database, &jwt_secret(), Role::Customer, count, self.now()).await;
        let customer =
            |person: LoggedIn| Customer { id: person.id.to_string(), http: self.anonymous.bearing(&person.token) };
        people.into_iter().map(customer).collect()
    }

    /// A new admin who is logged in.
    pub async fn admin(&self) -> Admin {
        let mut people = log_in_new(&self.database, &jwt_secret(), Role::Admin, 1, self.now()).await;
        let person = people.pop().expect("one");
        Admin { id: person.id.to_string(), http: self.anonymous.bearing(&person.token) }
    }

    /// A product on sale.
    pub async fn sells(&self, name: &str, price: &str, stock: i64) -> Product {
        self.admin().await.sells(name, price, stock).await
    }

    // --- the provider -------------------------------------------------------------------------------------------

    /// The sessions that the provider has for an order, oldest first.
    #[must_use]
    pub fn sessions_of(&self, order: &Order) -> Vec<Value> {
        let of_order = |session: &Value| session["client_reference_id"] == order.id;
        self.provider().sessions().into_iter().filter(of_order).collect()
    }

    /// The id of the session that the provider opened last for an order.
    #[must_use]
    pub fn session_of(&self, order: &Order) -> String {
        let newest = self.sessions_of(order).pop().expect("a session of the order");
        newest["id"].as_str().expect("an id").to_owned()
    }

    /// The provider can't be reached: every connection to its API is cut.
    pub fn provider_goes_down(&self) {
        self.provider().inject(Fault::next(FaultKind::Cut, FaultPhase::BeforeEffect).times(usize::MAX));
    }

    /// The provider answers again.
    pub fn provider_comes_back(&self) {
        self.provider().clear_faults();
    }

    /// Delivers an event of one's own making, signed as the provider signs.
    pub async fn hears(&self, event: &Value) -> Reply {
        self.hears_later(event.clone()).await
    }

    /// The same, signed now and delivered whenever the answer is awaited.
    pub fn hears_later(&self, event: Value) -> impl Future<Output = Reply> + Send + 'static {
        let body = event.to_string().into_bytes();
        let signature = sign_payload(WEBHOOK_SECRET, self.now().timestamp(), &body);
        let http = self.anonymous.clone();
        async move { http.post_webhook(body, Some(&signature)).await }
    }

    /// Asks the provider what the shop missed, as one more instance does; nobody else does unless it is planned.
    #[must_use]
    pub fn reconciler(&self) -> Reconciler {
        let system: (Arc<dyn Clock>, Arc<dyn Ids>) = (Arc::clone(&self.clock) as _, Arc::new(SystemIds));
        let pool = PgPool::new(patient_pool(&self.plan, &self.database_url));
        let stripe = stripe_config(&self.plan, &self.stripe);
        reconciler(&pool, &stripe, system, self.plan.orders.clone(), &ErrandBell::default()).expect("good settings")
    }

    /// The plans of the statements that its instances sent since it was last asked.
    ///
    /// # Panics
    ///
    /// If they are not heard.
    #[must_use]
    pub fn plans(&self) -> Vec<SeenPlan> {
        self.tap.as_ref().expect("a plan that `taps_plans`").take()
    }

    /// Connections of one more user of the database, whose plans are heard too.
    #[must_use]
    pub fn tapped_pool(&self) -> PgPool {
        PgPool::new(patient_pool(&self.plan, &self.database_url))
    }

    // --- waiting ------------------------------------------------------------------------------------------------

    /// Waits until an order and its payment stand so, e.g. `PAID COMPLETED`; gives the order.
    pub async fn reaches(&self, order: &Order, standing: &str) -> Order {
        let admin = self.admin().await;
        let what = format!("order {} is {standing}", order.id);
        crate::wait::until_some(&what, async || {
            let seen = admin.sees(order).await;
            (seen.standing() == standing).then_some(seen)
        })
        .await
    }

    /// Waits until all events are delivered and nothing is left to do at the provider. Errands that were put off are
    /// made due, since their pauses are real time.
    pub async fn settles(&self) {
        settle(&self.database, self.provider()).await;
    }

    /// Lets leases and pauses run out, which go by the database's clock.
    pub async fn lets_leases_run_out(&self) {
        let_leases_run_out(&self.database).await;
    }

    // --- the end ------------------------------------------------------------------------------------------------

    /// Waits until all is settled, stops, and checks every invariant.
    pub async fn close(self) {
        self.settles().await;
        self.end(true).await;
    }

    /// Stops without a look at the books, which would take minutes in a shop of very many orders.
    pub async fn close_unchecked(mut self) {
        self.is_closed = true;
        self.stops().await;
    }

    /// Stops in the middle of things, and checks the invariants that hold at any moment.
    pub async fn close_unsettled(self) {
        self.end(false).await;
    }

    async fn end(mut self, is_settled: bool) {
        self.is_closed = true;
        self.stops().await;
        invariants::hold_at_any_moment(&self.database, &self.plan).await;
        if is_settled {
            invariants::hold_when_settled(&self.database, self.provider()).await;
        }
    }
}

impl Drop for TestShop {
    fn drop(&mut self) {
        assert!(self.is_closed || std::thread::panicking(), "a test must end its shop with `shop.close().await`");
    }
}

fn jwt_secret() -> JwtSecret {
    JwtSecret::new(JWT_SECRET).expect("long enough")
}

fn stripe_config(plan: &Plan, stripe: &StripeSimulator) -> StripeConfig {
    let secrets = plan.webhook_secrets.iter().map(|secret| Secret::new(secret.as_str())).collect();
    let mut config = StripeConfig::new(Secret::new("sk_test_ironcart"), secrets);
    config.api_base = Some(stripe.base_url().to_owned());
    config.limits = plan.calls.clone();
    config
}

/// A busy machine is no reason for a 503 in a test; what must not wait is tested for that.
fn patient_pool(plan: &Plan, url: &DatabaseUrl) -> PoolConfig {
    PoolConfig {
        max_connections: plan.connections,
        acquire_timeout: Duration::from_secs(60),
        statement_timeout: Duration::from_secs(60),
        lock_timeout: Duration::from_secs(50),
        ..PoolConfig::new(url.clone())
    }
}

fn start(
    addresses: &[SocketAddr],
    plan: &Plan,
    database_url: &DatabaseUrl,
    stripe: &StripeSimulator,
    clock: &Arc<TestClock>,
) -> Vec<Shop> {
    let mut shops = Vec::new();
    for address in addresses {
        let parts = ShopParts {
            listener: TcpListener::bind(address).expect("a port"),
            database: patient_pool(plan, database_url),
            stripe: stripe_config(plan, stripe),
            orders: plan.orders.clone(),
            intervals: Intervals { sweep: plan.sweep_interval, reconcile: plan.reconcile_interval },
            limits: plan.limits.clone(),
            auth_guard: plan.auth_guard,
            cors_origins: plan.cors_origins.clone(),
            metrics: MetricsPlace::default(),
            core: CoreParts {
                jwt_secret: jwt_secret(),
                previous_jwt_secrets: Vec::new(),
                accounts: AccountPolicy { access_ttl_seconds: 900, refresh_ttl_seconds: 86_400 * 30 },
                currency: Currency::USD,
                clock: Arc::clone(clock) as Arc<dyn Clock>,
                ids: Arc::new(SystemIds),
            },
        };
        shops.push(Shop::start(parts).expect("a running shop"));
    }
    shops
}
