//! A stateful stand-in for Stripe, for development and tests: sessions, payments, refunds, events and their delivery,
//! in memory, over real HTTP.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use stripe_simulator::{PayTerms, SimulatorConfig, StripeSimulator, WebhookTarget};
//!
//! let simulator = StripeSimulator::start(SimulatorConfig::default()).await?;
//! // Point a Stripe client at `simulator.base_url()`; any API key will do.
//! let control = simulator.control();
//! control.set_webhook_endpoints(vec![WebhookTarget {
//!     url: "http://127.0.0.1:8080/api/v1/webhooks/stripe".to_owned(),
//!     secret: "whsec_0123456789abcdef0123456789abcdef".to_owned(),
//! }]);
//! // Once the shop has opened a session:
//! let session = control.latest_session_id().ok_or("no session yet")?;
//! let receipt = control.pay(&session, PayTerms::default())?;
//! control.dispute(&receipt.charge, "fraudulent")?;
//! simulator.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! - It runs on a thread and a runtime of its own, so it can be started from any runtime, many times in one process.
//! - [`Control`] is everything that a test can do to it; the same is served as JSON under `/_control/`.
//! - A customer pays on the hosted page, the session's `url`.
//! - Memory is bounded: 50,000 objects of a kind, 20,000 events, 50,000 idempotency keys, and 10,000 entries each of
//!   requests and deliveries. The oldest make room for the newest.
//! - Failed deliveries are repeated after 0.5 s, 1 s, 2 s, … up to a minute, for three days: shorter pauses than
//!   Stripe's, so that a shop that was down hears of what it missed soon after it is back. See [`WebhookRetry`].

// Stripe's objects have many fields, and each costs `json!` a few levels.
#![recursion_limit = "512"]

mod account;
mod api;
mod clock;
mod config;
mod control;
mod error;
mod faults;
mod form;
mod http;
mod idempotency;
mod ids;
mod journal;
mod page;
mod params;
mod rate;
mod server;
mod simulation;
mod version;
mod webhooks;

pub use account::refund::RefundStatus;
pub use config::{SimulatorConfig, WebhookRetry, WebhookTarget};
pub use control::{Control, ControlError, DashboardRefund, NextRefund, PayTerms, Receipt, ReleaseOrder};
pub use faults::{Fault, FaultKind, FaultPhase};
pub use journal::{DeliveryAttempt, RecordedRequest};
pub use version::ApiVersion;
pub use webhooks::signature::sign_payload;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::simulation::Simulation;

/// Why a simulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken or not ours.
    #[error("cannot listen on {address}: {source}. Choose another port, or port 0 for a free one")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The simulator's thread or runtime could not be set up.
    #[error("cannot set up the simulator's thread: {0}")]
    Thread(#[source] std::io::Error),
    /// The client for webhook deliveries could not be set up.
    #[error("cannot set up the webhook client: {0}")]
    WebhookClient(#[source] reqwest::Error),
}

/// A running simulator. Dropped, it stops by itself; [`StripeSimulator::stop`] also waits for the end.
#[derive(Debug)]
pub struct StripeSimulator {
    address: SocketAddr,
    control: Control,
    shutdown: Option<oneshot::Sender<()>>,
    stopped: Option<oneshot::Receiver<()>>,
}

impl StripeSimulator {
    /// Starts listening. When this returns, requests are answered.
    #[expect(clippy::unused_async, reason = "starting may come to need a wait; callers should not have to change then")]
    pub async fn start(config: SimulatorConfig) -> Result<Self, StartError> {
        let requested = config.listen;
        let listen_error = |source| StartError::Listen { address: requested, source };
        let listener = TcpListener::bind(requested).map_err(listen_error)?;
        listener.set_nonblocking(true).map_err(listen_error)?;
        let address = listener.local_addr().map_err(listen_error)?;
        let base_url = config
            .public_url
            .as_deref()
            .map_or_else(|| format!("http://{address}"), |url| url.trim_end_matches('/').to_owned());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StartError::Thread)?;
        let http = webhooks::dispatch::delivery_client().map_err(StartError::WebhookClient)?;
        let simulation = Arc::new(Simulation::new(config, base_url, http, runtime.handle().clone()));
        let control = Control::new(Arc::clone(&simulation));
        let (shutdown, shutdown_asked) = oneshot::channel();
        let (stopping, stopped) = oneshot::channel();
        std::thread::Builder::new()
            .name("stripe-simulator".to_owned())
            .spawn(move || {
                runtime.block_on(run(listener, simulation, shutdown_asked));
                // Dropping the runtime ends every connection and delivery.
                drop(runtime);
                let _ = stopping.send(());
            })
            .map_err(StartError::Thread)?;
        Ok(Self { address, control, shutdown: Some(shutdown), stopped: Some(stopped) })
    }

    /// The address listened on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:<port>`, or the configured public address, without a slash at the end.
    #[must_use]
    pub fn base_url(&self) -> &str {
        self.control.base_url()
    }

    /// Everything that a test can do to the simulator.
    #[must_use]
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// Stops and waits until the port is free again.
    pub async fn stop(mut self) {
        if let Some(shutdown) = self.shutdown.take() {
            let _ = shutdown.send(());
        }
        if let Some(stopped) = self.stopped.take() {
            let _ = stopped.await;
        }
    }
}

async fn run(listener: TcpListener, simulation: Arc<Simulation>, shutdown_asked: oneshot::Receiver<()>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "the simulator cannot use its listener");
            return;
        }
    };
    tokio::select! {
        never = server::serve(listener, Arc::clone(&simulation)) => match never {},
        () = webhooks::dispatch::run(simulation) => {}
        // An error means that the handle was dropped: that is a stop, too.
        _ = shutdown_asked => {}
    }
}
