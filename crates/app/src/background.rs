//! The loops of a running shop: sweeping unpaid orders, running errands at the provider, reconciling with it, and
//! forgetting what is old.

use std::sync::Arc;
use std::time::Duration;

use domain::order::{ErrandSignal, OrderService, Reconciler};
use domain::retention::{Perishable, Retention};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

/// How often errands are looked for without a signal: those of other instances, and those that are due again.
const ERRAND_POLL: Duration = Duration::from_secs(1);

/// How soon after a round of errands a signal begins the next: most signals tell of news, and most news have no errand.
const ERRAND_PAUSE: Duration = Duration::from_millis(20);

/// How often what is too old to be of use is forgotten.
const FORGET_INTERVAL: Duration = Duration::from_mins(10);
/// How long customers have the database to themselves between two batches of it.
const FORGET_PAUSE: Duration = Duration::from_millis(50);

/// Wakes this instance's errand loop.
#[derive(Debug, Clone, Default)]
pub struct ErrandBell(Arc<Notify>);

impl ErrandSignal for ErrandBell {
    fn wake(&self) {
        self.0.notify_one();
    }
}

/// How often the loops begin a round.
#[derive(Debug, Clone, Copy)]
pub struct Intervals {
    /// Looking for orders to expire.
    pub sweep: Duration,
    /// Asking the provider what was missed: once in this time among all instances, for the first time soon after the
    /// start.
    pub reconcile: Duration,
}

/// The running loops.
pub struct Background {
    stop: watch::Sender<bool>,
    loops: JoinSet<()>,
}

impl Background {
    /// Starts the loops. Each round begins when the one before it has ended, so that a slow provider or database
    /// never piles them up.
    #[must_use]
    pub fn start(reconciler: Reconciler, retention: Retention, bell: &ErrandBell, intervals: Intervals) -> Self {
        let orders = &reconciler.orders;
        let (stop, stopped) = watch::channel(false);
        let mut loops = JoinSet::new();
        loops.spawn(sweep(orders.clone(), intervals.sweep, stopped.clone()));
        loops.spawn(run_errands(orders.clone(), bell.clone(), stopped.clone()));
        loops.spawn(reconcile(reconciler, intervals.reconcile, stopped.clone()));
        loops.spawn(forget_what_is_old(retention, stopped));
        Self { stop, loops }
    }

    /// Does more beside the loops: work that may be dropped at any moment, and is when they are to stop.
    pub fn until_stopped(&mut self, work: impl Future<Output = ()> + Send + 'static) {
        let mut stopped = self.stop.subscribe();
        self.loops.spawn(async move {
            tokio::select! {
                () = work => {}
                _ = stopped.wait_for(|stop| *stop) => {}
            }
        });
    }

    /// Lets the rounds under way end, for at most `patience`, and begins no new ones.
    pub async fn stop(mut self, patience: Duration) {
        self.stop.send_replace(true);
        let ended = tokio::time::timeout(patience, async { while self.loops.join_next().await.is_some() {} }).await;
        if ended.is_err() {
            // What they had claimed is claimed again when its lease runs out.
            tracing::warn!("background work did not end in time and is cut short");
        }
    }
}

async fn sweep(orders: OrderService, interval: Duration, mut stopped: watch::Receiver<bool>) {
    loop {
        match orders.sweep().await {
            // A full batch that moved something: more may be waiting.
            Ok(sweep) if sweep.cancelled > 0 && sweep.claimed == OrderService::SWEEP_BATCH as usize => {
                tracing::info!(cancelled = sweep.cancelled, "swept a full batch of unpaid orders");
                if *stopped.borrow() {
                    return;
                }
                continue;
            }
            Ok(sweep) if sweep.cancelled > 0 => tracing::info!(cancelled = sweep.cancelled, "swept unpaid orders"),
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "the sweep could not be done"),
        }
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            _ = stopped.wait_for(|stop| *stop) => return,
        }
    }
}

async fn run_errands(orders: OrderService, bell: ErrandBell, mut stopped: watch::Receiver<bool>) {
    loop {
        match orders.run_errands().await {
            // A full batch: more may be waiting.
            Ok(claimed) if claimed == OrderService::ERRAND_BATCH as usize && !*stopped.borrow() => continue,
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "errands at the provider could not be run"),
        }
        tokio::select! {
            () = tokio::time::sleep(ERRAND_POLL) => {}
            () = async { tokio::join!(tokio::time::sleep(ERRAND_PAUSE), bell.0.notified()); } => {}
            _ = stopped.wait_for(|stop| *stop) => return,
        }
    }
}

async fn forget_what_is_old(retention: Retention, mut stopped: watch::Receiver<bool>) {
    loop {
        for what in Perishable::ALL {
            loop {
                let more = match retention.forget_batch(what).await {
                    Ok(more) => more,
                    Err(error) => {
                        tracing::warn!(%error, what = what.as_str(), "what is old could not be forgotten");
                        false
                    }
                };
                if *stopped.borrow() {
                    return;
                }
                if !more {
                    break;
                }
                tokio::time::sleep(FORGET_PAUSE).await;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(FORGET_INTERVAL) => {}
            _ = stopped.wait_for(|stop| *stop) => return,
        }
    }
}

/// All instances look now and then whether it is due, and one of them does it.
async fn reconcile(reconciler: Reconciler, interval: Duration, mut stopped: watch::Receiver<bool>) {
    let turn_seconds = u32::try_from(interval.as_secs()).unwrap_or(u32::MAX);
    // Instances that start together, after a deployment, do not look together.
    let mut pause = jittered(interval / 20);
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stopped.wait_for(|stop| *stop) => return,
        }
        let stop = stopped.clone();
        match reconciler.reconcile_in_turn(turn_seconds, &move || *stop.borrow()).await {
            Ok(None) => {}
            Ok(Some(report)) => tracing::info!(
                asked = report.asked,
                orders_settled = report.orders.len(),
                unasked = report.unasked.len(),
                was_cut = report.was_cut,
                "reconciled with the payment provider"
            ),
            Err(error) => tracing::warn!(%error, "the reconciliation could not be done"),
        }
        pause = jittered(interval / 10);
    }
}

/// A random part of a pause, from a half to all of it.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::random_range(0.5..=1.0))
}
