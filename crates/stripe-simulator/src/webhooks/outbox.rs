//! The queue of deliveries, and the tricks that tests play on it: hold, delay, drop, repeat.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

/// An event that one endpoint has still to be told.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) event: String,
    pub(crate) endpoint: String,
    /// Tries made so far.
    pub(crate) tries: u32,
    pub(crate) queued_at: Instant,
    /// A copy made by [`Rules::repeat`] is sent once, whatever comes of it.
    pub(crate) is_copy: bool,
}

/// How events are to be lost.
#[derive(Debug, Clone)]
struct Drop {
    kind: Option<String>,
    remaining: usize,
}

/// What tests changed about deliveries.
#[derive(Debug)]
struct Rules {
    is_holding: bool,
    delay: Duration,
    repeat: usize,
    drops: Vec<Drop>,
}

impl Default for Rules {
    fn default() -> Self {
        Self { is_holding: false, delay: Duration::ZERO, repeat: 1, drops: Vec::new() }
    }
}

/// Deliveries that are due, will be due, or are held back.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    queue: BTreeMap<(Instant, u64), Job>,
    held: VecDeque<Job>,
    in_flight: usize,
    next_number: u64,
    rules: Rules,
}

impl Outbox {
    /// Queues an event for those who want it, unless a rule drops it.
    pub(crate) fn enqueue(&mut self, event: &str, kind: &str, endpoints: &BTreeSet<String>) {
        if endpoints.is_empty() || self.is_dropped(kind) {
            return;
        }
        for endpoint in endpoints {
            self.enqueue_for(event, endpoint);
        }
    }

    fn enqueue_for(&mut self, event: &str, endpoint: &str) {
        let now = Instant::now();
        for copy in 0..self.rules.repeat {
            let job = Job {
                event: event.to_owned(),
                endpoint: endpoint.to_owned(),
                tries: 0,
                queued_at: now,
                is_copy: copy > 0,
            };
            if self.rules.is_holding {
                self.held.push_back(job);
            } else {
                self.schedule(job, now + self.rules.delay);
            }
        }
    }

    fn is_dropped(&mut self, kind: &str) -> bool {
        let matching = self
            .rules
            .drops
            .iter_mut()
            .find(|drop| drop.remaining > 0 && drop.kind.as_deref().is_none_or(|wanted| wanted == kind));
        let Some(drop) = matching else { return false };
        drop.remaining -= 1;
        self.rules.drops.retain(|drop| drop.remaining > 0);
        true
    }

    pub(crate) fn schedule(&mut self, job: Job, due: Instant) {
        self.queue.insert((due, self.next_number), job);
        self.next_number += 1;
    }

    /// Takes what is due, at most `room` jobs; while deliveries are held, due jobs join the held ones instead.
    pub(crate) fn take_due(&mut self, now: Instant, room: usize) -> Vec<Job> {
        let mut due = Vec::new();
        while let Some(entry) = self.queue.first_entry() {
            if entry.key().0 > now || (!self.rules.is_holding && due.len() >= room) {
                break;
            }
            let job = entry.remove();
            if self.rules.is_holding {
                self.held.push_back(job);
            } else {
                due.push(job);
            }
        }
        self.in_flight += due.len();
        due
    }

    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.queue.first_key_value().map(|((due, _), _)| *due)
    }

    pub(crate) fn begin(&mut self) {
        self.in_flight += 1;
    }

    pub(crate) fn finish(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Nothing is being sent and nothing waits to be; held jobs don't count.
    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight == 0 && self.queue.is_empty()
    }

    pub(crate) fn hold(&mut self) {
        self.rules.is_holding = true;
    }

    pub(crate) fn stop_holding(&mut self) {
        self.rules.is_holding = false;
    }

    pub(crate) fn held(&self) -> impl Iterator<Item = &Job> {
        self.held.iter()
    }

    pub(crate) fn take_held(&mut self) -> Vec<Job> {
        self.held.drain(..).collect()
    }

    pub(crate) fn hold_again(&mut self, jobs: Vec<Job>) {
        self.held.extend(jobs);
    }

    pub(crate) fn set_delay(&mut self, delay: Duration) {
        self.rules.delay = delay;
    }

    pub(crate) fn set_repeat(&mut self, times: usize) {
        self.rules.repeat = times;
    }

    pub(crate) fn drop_next(&mut self, times: usize, kind: Option<String>) {
        self.rules.drops.push(Drop { kind, remaining: times });
    }
}
