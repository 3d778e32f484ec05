//! Real processes: instances of the app beside a PostgreSQL of their own that keeps what it acknowledges, and a
//! simulated Stripe. For what can't be done to a shop in this process: kill it, stop its database, fill its disk.

#![allow(clippy::panic, clippy::expect_used, clippy::missing_panics_doc, reason = "what fails here fails the test")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use adapters_crypto::JwtSecret;
use app::dev_postgres::{DevPostgres, DevPostgresConfig, Durability, ProgramSearch, Stopped};
use app::system::SystemClock;
use domain::account::Role;
use domain::clock::Clock;
use serde_json::Value;
use stripe_simulator::{Control, SimulatorConfig, StripeSimulator, WebhookRetry, WebhookTarget};

use crate::actors::{Admin, Customer};
use crate::database::Database;
use crate::http::Http;
use crate::people::log_in_new;
use crate::pg_proxy::PgProxy;
use crate::process::{App, AppSettings, send_signal};
use crate::shop::{JWT_SECRET, WEBHOOK_SECRET};
use crate::wire::Order;

/// How the processes are set up.
#[derive(Debug, Default)]
pub struct SitePlan {
    /// How many instances serve; 0 is one.
    pub instances: usize,
    /// Further variables of every instance.
    pub environment: Vec<(&'static str, String)>,
    /// Whether the first instance speaks to its database through [`PgProxy`].
    pub proxied: bool,
    /// Where PostgreSQL keeps its data; a new folder unless said.
    pub data: Option<PathBuf>,
}

/// The processes and the ways to them.
pub struct Site {
    /// The instances, for starting and asking them.
    pub instances: Vec<AppSettings>,
    /// Speaks with the instances in turn, as nobody.
    pub http: Http,
    /// The payment provider.
    pub stripe: StripeSimulator,
    /// The database, to look past the app.
    pub database: Database,
    /// In front of the database, if planned so.
    pub proxy: Option<PgProxy>,
    postgres: Option<DevPostgres>,
    config: DevPostgresConfig,
    _data: tempfile::TempDir,
}

impl Site {
    /// Starts PostgreSQL, the simulator, and every instance.
    pub async fn open(plan: SitePlan) -> (Self, Vec<App>) {
        let data = tempfile::tempdir().expect("a directory");
        // Programs that had to be downloaded are kept with the workspace's other data.
        let downloads = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.data");
        let config = DevPostgresConfig {
            directory: plan.data.unwrap_or_else(|| data.path().to_owned()).join("postgres"),
            durability: Durability::Durable,
            programs: ProgramSearch { pg_bin: None, on_this_machine: true, downloads: Some(downloads) },
        };
        // Sent again soon, so that what was missed is heard soon.
        let webhook_retry = WebhookRetry {
            first_pause: Duration::from_millis(50),
            longest_pause: Duration::from_millis(500),
            ..WebhookRetry::default()
        };
        let stripe = StripeSimulator::start(SimulatorConfig { webhook_retry, ..SimulatorConfig::default() });
        let (postgres, stripe) = tokio::join!(DevPostgres::start(config.clone()), stripe);
        let (postgres, stripe) = (postgres.expect("a PostgreSQL"), stripe.expect("a simulator"));
        let url = postgres.url("postgres");
        let database = Database::at(&url);
        assert_eq!(database.texts("SELECT current_setting('fsync') AS t").await, ["on"]);
        let proxy = if plan.proxied { Some(PgProxy::start(postgres.port()).await) } else { None };
        let mut instances = Vec::new();
        for number in 0..plan.instances.max(1) {
            let url = match &proxy {
                Some(proxy) if number == 0 => {
                    url.replace(&format!(":{}/", postgres.port()), &format!(":{}/", proxy.port()))
                }
                _ => url.clone(),
            };
            let mut settings = AppSettings::new(url, stripe.base_url().to_owned());
            settings.environment.clone_from(&plan.environment);
            instances.push(settings);
        }
        let http = Http::with(instances.iter().map(AppSettings::base).collect());
        let site = Self { instances, http, stripe, database, proxy, postgres: Some(postgres), config, _data: data };
        site.provider_tells(&(0..site.instances.len()).collect::<Vec<_>>());
        let mut apps = Vec::new();
        for instance in &site.instances {
            apps.push(instance.serve().await);
        }
        (site, apps)
    }

    /// What can be done to the provider.
    #[must_use]
    pub fn provider(&self) -> &Control {
        self.stripe.control()
    }

    /// Sends events from now on to these instances, to each of them.
    pub fn provider_tells(&self, instances: &[usize]) {
        let target = |number: &usize| WebhookTarget {
            url: format!("{}/api/v1/webhooks/stripe", self.instances[*number].base()),
            secret: WEBHOOK_SECRET.to_owned(),
        };
        self.provider().set_webhook_endpoints(instances.iter().map(target).collect());
    }

    /// So many new customers who are logged in.
    pub async fn customers(&self, count: usize) -> Vec<Customer> {
        let people = self.people(Role::Customer, count).await;
        people.into_iter().map(|(id, http)| Customer { id, http }).collect()
    }

    /// A new admin who is logged in.
    pub async fn admin(&self) -> Admin {
        let (id, http) = self.people(Role::Admin, 1).await.pop().expect("one");
        Admin { id, http }
    }

    async fn people(&self, role: Role, count: usize) -> Vec<(String, Http)> {
        let secret = JwtSecret::new(JWT_SECRET).expect("long enough");
        let people = log_in_new(&self.database, &secret, role, count, SystemClock.now()).await;
        people.into_iter().map(|person| (person.id.to_string(), self.http.bearing(&person.token))).collect()
    }

    /// The sessions that the provider has for an order, oldest first.
    #[must_use]
    pub fn sessions_of(&self, order: &Order) -> Vec<Value> {
        let sessions = self.provider().sessions().into_iter();
        sessions.filter(|session| session["client_reference_id"] == order.id).collect()
    }

    /// Has `app check-stock` prove every product's stock.
    pub async fn checks_stock(&self) {
        let checked = self.instances[0].run("check-stock").await;
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    }

    // --- PostgreSQL ---------------------------------------------------------------------------------------------

    /// Stops PostgreSQL as its operator does: sessions are ended, their transactions rolled back.
    pub async fn postgres_stops(&mut self) {
        let postgres = self.postgres.take().expect("a running PostgreSQL");
        assert_eq!(postgres.stop().await.expect("a stop"), Stopped::ServerStopped);
    }

    /// Kills PostgreSQL's first process as `kill -9` does; its children end by themselves.
    pub async fn postgres_is_killed(&mut self) {
        let postgres = self.postgres.as_ref().expect("a running PostgreSQL");
        send_signal("-KILL", postgres.pid()).await;
    }

    /// Starts PostgreSQL again, on the same data and the same port; gives the moment from which on it answers.
    pub async fn postgres_starts(&mut self) -> Instant {
        let port = self.database_port();
        let again = DevPostgres::start(self.config.clone()).await.expect("a PostgreSQL");
        let since = Instant::now();
        assert_eq!(again.port(), port, "the app would look for it elsewhere");
        // What is left of a killed one is given up after the new one is there: so it is not the last user.
        self.postgres = Some(again);
        since
    }

    fn database_port(&self) -> u16 {
        let url = self.database.url_text();
        let port = url.rsplit(':').next().and_then(|rest| rest.split('/').next());
        port.and_then(|port| port.parse().ok()).expect("a port in the address")
    }

    /// Whether PostgreSQL lets a new session in and answers it.
    pub async fn postgres_answers(&self) -> bool {
        let Ok((client, connection)) = tokio_postgres::connect(self.database.url_text(), tokio_postgres::NoTls).await
        else {
            return false;
        };
        let driver = tokio::spawn(connection);
        let answers = client.simple_query("SELECT 1").await.is_ok();
        driver.abort();
        answers
    }

    // --- the end ------------------------------------------------------------------------------------------------

    /// Ends all processes in order.
    pub async fn ends(mut self, apps: Vec<App>) {
        for app in apps {
            assert!(app.is_terminated().await.success());
        }
        if let Some(postgres) = self.postgres.take() {
            postgres.stop().await.expect("a stop");
        }
    }
}
