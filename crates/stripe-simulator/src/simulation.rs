//! The one state behind the API, the payment page, the control API and the deliveries.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::account::event::{Cause, Endpoint};
use crate::account::{Account, Operation};
use crate::clock::{SimulatedClock, wall_seconds};
use crate::config::{SimulatorConfig, WebhookRetry, WebhookTarget};
use crate::faults::Faults;
use crate::idempotency::IdempotencyKeys;
use crate::ids::new_id;
use crate::journal::Journal;
use crate::rate::RateLimit;
use crate::version::ApiVersion;
use crate::webhooks::outbox::Outbox;

/// What does not change while a simulator runs.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) api_key: Option<String>,
    pub(crate) api_version: ApiVersion,
    /// Without a slash at the end.
    pub(crate) base_url: String,
    pub(crate) webhook_retry: WebhookRetry,
    pub(crate) signs_by_own_clock: bool,
    pub(crate) shop_name: String,
}

/// Everything that changes, behind one lock that is never held across an await.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) account: Account,
    pub(crate) outbox: Outbox,
    pub(crate) keys: IdempotencyKeys,
    pub(crate) faults: Faults,
    pub(crate) journal: Journal,
    pub(crate) latency: Duration,
    pub(crate) rate: RateLimit,
}

impl World {
    fn new(endpoints: Vec<Endpoint>) -> Self {
        Self {
            account: Account::new(endpoints),
            outbox: Outbox::default(),
            keys: IdempotencyKeys::default(),
            faults: Faults::default(),
            journal: Journal::default(),
            latency: Duration::ZERO,
            rate: RateLimit::default(),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Simulation {
    world: Mutex<World>,
    pub(crate) clock: SimulatedClock,
    pub(crate) settings: Settings,
    /// Wakes the deliveries.
    pub(crate) wake: Notify,
    pub(crate) http: reqwest::Client,
    /// The runtime of the simulator's own thread, which must carry all of its connections.
    pub(crate) runtime: tokio::runtime::Handle,
}

impl Simulation {
    pub(crate) fn new(
        config: SimulatorConfig,
        base_url: String,
        http: reqwest::Client,
        runtime: tokio::runtime::Handle,
    ) -> Self {
        let clock = SimulatedClock::default();
        let endpoints = config.webhook_endpoints.into_iter().map(|target| endpoint(target, clock.now())).collect();
        Self {
            world: Mutex::new(World { rate: RateLimit::new(config.rate_limit), ..World::new(endpoints) }),
            clock,
            settings: Settings {
                api_key: config.api_key,
                api_version: config.api_version,
                base_url,
                webhook_retry: config.webhook_retry,
                signs_by_own_clock: config.signs_by_own_clock,
                shop_name: config.shop_name,
            },
            wake: Notify::new(),
            http,
            runtime,
        }
    }

    /// The time that a signature bears, in Unix seconds.
    pub(crate) fn signing_time(&self) -> i64 {
        if self.settings.signs_by_own_clock { self.clock.now() } else { wall_seconds() }
    }

    /// Looks at or changes the state, without regard to time.
    pub(crate) fn with_world<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        act(&mut self.world.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the account at the present moment: what is due to expire expires first.
    pub(crate) fn operate<T>(&self, cause: Cause, act: impl FnOnce(&mut Operation<'_>) -> T) -> T {
        let result = self.with_world(|world| {
            let mut operation = Operation {
                account: &mut world.account,
                outbox: &mut world.outbox,
                now: self.clock.now(),
                cause: Cause::default(),
                api_version: &self.settings.api_version,
                base_url: &self.settings.base_url,
            };
            operation.expire_due();
            operation.cause = cause;
            act(&mut operation)
        });
        self.wake.notify_one();
        result
    }

    /// Expires the sessions whose time has come. Unlike [`Simulation::operate`] it wakes nobody: its caller delivers.
    pub(crate) fn expire_due(&self) {
        self.with_world(|world| {
            Operation {
                account: &mut world.account,
                outbox: &mut world.outbox,
                now: self.clock.now(),
                cause: Cause::default(),
                api_version: &self.settings.api_version,
                base_url: &self.settings.base_url,
            }
            .expire_due();
        });
    }

    pub(crate) fn set_endpoints(&self, targets: Vec<WebhookTarget>) {
        let now = self.clock.now();
        self.with_world(|world| {
            world.account.endpoints = targets.into_iter().map(|target| endpoint(target, now)).collect();
        });
    }

    /// Forgets everything but the webhook endpoints, and sets the clock back to real time.
    pub(crate) fn reset(&self) {
        self.with_world(|world| {
            let endpoints = std::mem::take(&mut world.account.endpoints);
            *world = World::new(endpoints);
        });
        self.clock.reset();
    }
}

fn endpoint(target: WebhookTarget, created: i64) -> Endpoint {
    Endpoint {
        id: new_id("we"),
        created,
        url: target.url,
        secret: target.secret,
        api_version: None,
        enabled_events: vec!["*".to_owned()],
        description: None,
    }
}
