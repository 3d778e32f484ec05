//! The circuit: once Stripe failed several times in a row, nobody waits for it until a probe of our own got an
//! answer. So a dead Stripe costs one call at most 10 s, and the following ones nothing.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::AbortHandle;

/// Asks Stripe something cheap and tells whether it answered. It bounds its own time.
pub(crate) type Probe = dyn Fn() -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync;

/// Nobody is to be asked now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the circuit is open after repeated failures")]
pub(crate) struct CircuitOpen;

/// Counts failures; open, it lets nobody through and probes in the background. The probe ends with the circuit.
pub(crate) struct Circuit {
    state: Arc<Mutex<State>>,
    failures_to_open: u32,
    cool_down: Duration,
    runtime: Handle,
    probe: Arc<Probe>,
}

enum State {
    Closed {
        failures_in_a_row: u32,
        /// How long it stays open the next time. It doubles when a probe was answered and nobody was after it:
        /// then only some of Stripe works, and each closing costs somebody a long wait.
        next_cool_down: Duration,
    },
    Open {
        probing: AbortHandle,
    },
}

impl Circuit {
    const LONGEST_COOL_DOWN: Duration = Duration::from_mins(1);

    pub(crate) fn new(failures_to_open: u32, cool_down: Duration, runtime: Handle, probe: Arc<Probe>) -> Self {
        let closed = State::Closed { failures_in_a_row: 0, next_cool_down: cool_down };
        show(false);
        Self { state: Arc::new(Mutex::new(closed)), failures_to_open, cool_down, runtime, probe }
    }

    /// Whether a request may be sent now.
    pub(crate) fn check(&self) -> Result<(), CircuitOpen> {
        match *lock(&self.state) {
            State::Closed { .. } => Ok(()),
            State::Open { .. } => Err(CircuitOpen),
        }
    }

    /// Stripe answered. An open circuit stays so: a late answer from before says nothing about now.
    pub(crate) fn succeeded(&self) {
        if let State::Closed { failures_in_a_row, next_cool_down } = &mut *lock(&self.state) {
            *failures_in_a_row = 0;
            *next_cool_down = self.cool_down;
        }
    }

    /// Stripe failed, or did not answer a try.
    pub(crate) fn failed(&self) {
        let mut state = lock(&self.state);
        let State::Closed { failures_in_a_row, .. } = &mut *state else { return };
        *failures_in_a_row += 1;
        if *failures_in_a_row >= self.failures_to_open {
            self.open(&mut state);
        }
    }

    /// A whole call, with all its tries, got no answer: nobody else shall wait as long.
    pub(crate) fn gave_up(&self) {
        self.open(&mut lock(&self.state));
    }

    fn open(&self, state: &mut State) {
        let State::Closed { next_cool_down: cool_down, .. } = *state else { return };
        show(true);
        tracing::warn!(?cool_down, "Stripe does not answer: the circuit opens");
        let closed_after = State::Closed {
            failures_in_a_row: 0,
            next_cool_down: cool_down.saturating_mul(2).min(Self::LONGEST_COOL_DOWN.max(self.cool_down)),
        };
        let (shared, probe) = (Arc::clone(&self.state), Arc::clone(&self.probe));
        let probing = async move {
            probe_until_answered(&*probe, cool_down).await;
            tracing::info!("Stripe answers again: the circuit closes");
            *lock(&shared) = closed_after;
            show(false);
        };
        *state = State::Open { probing: self.runtime.spawn(probing).abort_handle() };
    }
}

impl Drop for Circuit {
    fn drop(&mut self) {
        if let State::Open { probing } = &*lock(&self.state) {
            probing.abort();
        }
    }
}

fn show(is_open: bool) {
    metrics::gauge!("ironcart_provider_circuit_open").set(u8::from(is_open));
}

async fn probe_until_answered(probe: &Probe, cool_down: Duration) {
    loop {
        tokio::time::sleep(cool_down).await;
        if probe().await {
            return;
        }
    }
}

/// No code panics while it holds the lock, so a poisoned state is still a sound one.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

    use super::*;

    const COOL_DOWN: Duration = Duration::from_secs(5);

    /// A Stripe that is alive or not, and counts its probes.
    #[derive(Default)]
    struct Patient {
        alive: AtomicBool,
        probes: AtomicU32,
    }

    fn circuit(patient: &Arc<Patient>) -> Circuit {
        let patient = Arc::clone(patient);
        let probe = move || -> Pin<Box<dyn Future<Output = bool> + Send>> {
            patient.probes.fetch_add(1, Ordering::SeqCst);
            let alive = patient.alive.load(Ordering::SeqCst);
            Box::pin(async move { alive })
        };
        Circuit::new(3, COOL_DOWN, Handle::current(), Arc::new(probe))
    }

    /// Just after the `n`th cool-down.
    async fn after_cool_downs(n: u32) {
        tokio::time::sleep(COOL_DOWN * n + Duration::from_millis(1)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn failures_in_a_row_open_it() {
        let circuit = circuit(&Arc::default());
        for _ in 0..2 {
            circuit.failed();
        }
        assert_eq!(circuit.check(), Ok(()));
        circuit.failed();
        assert_eq!(circuit.check(), Err(CircuitOpen));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_between_failures_keeps_it_closed() {
        let circuit = circuit(&Arc::default());
        for _ in 0..10 {
            circuit.failed();
            circuit.failed();
            circuit.succeeded();
        }
        assert_eq!(circuit.check(), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_probe_closes_it() {
        let patient = Arc::<Patient>::default();
        let circuit = circuit(&patient);
        (0..3).for_each(|_| circuit.failed());
        circuit.succeeded();
        assert_eq!(circuit.check(), Err(CircuitOpen), "a late answer closes nothing");

        after_cool_downs(2).await;
        assert_eq!(patient.probes.load(Ordering::SeqCst), 2);
        assert_eq!(circuit.check(), Err(CircuitOpen), "nobody answered the probes");

        patient.alive.store(true, Ordering::SeqCst);
        after_cool_downs(1).await;
        assert_eq!(circuit.check(), Ok(()));
        after_cool_downs(5).await;
        assert_eq!(patient.probes.load(Ordering::SeqCst), 3, "a closed circuit is not probed");
    }

    #[tokio::test(start_paused = true)]
    async fn it_opens_anew_only_after_as_many_failures_again() {
        let patient = Arc::<Patient>::default();
        patient.alive.store(true, Ordering::SeqCst);
        let circuit = circuit(&patient);
        (0..3).for_each(|_| circuit.failed());
        after_cool_downs(1).await;
        circuit.failed();
        assert_eq!(circuit.check(), Ok(()));
        circuit.failed();
        circuit.failed();
        assert_eq!(circuit.check(), Err(CircuitOpen));
    }

    #[tokio::test(start_paused = true)]
    async fn one_call_given_up_opens_it() {
        let circuit = circuit(&Arc::default());
        circuit.gave_up();
        assert_eq!(circuit.check(), Err(CircuitOpen));
    }

    #[tokio::test(start_paused = true)]
    async fn it_stays_open_longer_while_only_probes_are_answered() {
        let patient = Arc::<Patient>::default();
        patient.alive.store(true, Ordering::SeqCst);
        let circuit = circuit(&patient);
        for cool_downs in [1, 2, 4, 8, 12, 12] {
            circuit.gave_up();
            after_cool_downs(cool_downs - 1).await;
            assert_eq!(circuit.check(), Err(CircuitOpen), "before {cool_downs} cool-downs");
            after_cool_downs(1).await;
            assert_eq!(circuit.check(), Ok(()), "after {cool_downs} cool-downs");
        }
        circuit.succeeded();
        circuit.gave_up();
        after_cool_downs(1).await;
        assert_eq!(circuit.check(), Ok(()), "an answer makes the next time short again");
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_runs_on_after_it_is_dropped() {
        let patient = Arc::<Patient>::default();
        let circuit = circuit(&patient);
        (0..3).for_each(|_| circuit.failed());
        drop(circuit);
        after_cool_downs(10).await;
        assert_eq!(patient.probes.load(Ordering::SeqCst), 0);
        assert_eq!(Arc::strong_count(&patient), 1, "the probe itself is gone, too");
    }
}
