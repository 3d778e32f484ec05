//! Passwords under Argon2id: 19 MiB, two passes, one lane, about 20 ms of one core.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::available_parallelism;
use std::time::Instant;

use argon2::password_hash::phc;
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use async_trait::async_trait;
use domain::account::{HashError, Password, PasswordAttempt, PasswordHash, PasswordHasher};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::Randomness;

const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const SALT_BYTES: usize = 16;

/// Hashes that may wait for a core; at 20 to 60 ms each, the last of them waits a few seconds at most.
const MAX_WAITING: usize = 64;

/// Hashes and verifies passwords on threads of their own, which take half of the cores: a flood of logins leaves the
/// others to those who are logged in.
#[derive(Clone)]
pub struct Argon2Passwords {
    randomness: Arc<dyn Randomness>,
    cores: Arc<Semaphore>,
    threads: Arc<Threads>,
    waiting: Arc<AtomicUsize>,
    /// The hash of a password that nobody has, for attempts on accounts that do not exist.
    nobodys: PasswordHash,
}

/// The hasher could not be set up: a bug, or too little memory.
#[derive(Debug, thiserror::Error)]
pub enum HasherSetupError {
    /// Its costs are not possible.
    #[error("Argon2 can't hash with its configured costs")]
    Costs(#[source] argon2::password_hash::Error),
    /// It has no threads.
    #[error("threads that hash passwords can't be started")]
    Threads(#[source] std::io::Error),
}

impl Argon2Passwords {
    /// Hashes one password to begin with.
    pub fn new(randomness: Arc<dyn Randomness>) -> Result<Self, HasherSetupError> {
        let cores = available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1));
        let threads = Threads::start(cores).map_err(HasherSetupError::Threads)?;
        let mut password = [0; 32];
        randomness.fill(&mut password);
        let nobodys = hash(&password, &salt(&*randomness)).map_err(HasherSetupError::Costs)?;
        Ok(Self {
            randomness,
            cores: Arc::new(Semaphore::new(cores)),
            threads: Arc::new(threads),
            waiting: Arc::default(),
            nobodys,
        })
    }

    /// Waits for a core, then works on its thread. The core stays taken until the work has ended, also if
    /// nobody waits for it any more.
    async fn on_a_core<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> argon2::password_hash::Result<T> + Send + 'static,
    ) -> Result<T, HashError> {
        let Some(place) = Place::take(&self.waiting) else {
            metrics::counter!("ironcart_password_refusals_total").increment(1);
            return Err(HashError::Overloaded);
        };
        let begun = Instant::now();
        let core = Arc::clone(&self.cores).acquire_owned().await.map_err(|closed| HashError::Failed(closed.into()))?;
        drop(place);
        metrics::histogram!("ironcart_password_wait_seconds").record(begun.elapsed());
        let working = self.threads.spawn(move || {
            let done = work();
            drop(core);
            done
        });
        working.await.map_err(|error| HashError::Failed(error.into()))?.map_err(|error| HashError::Failed(error.into()))
    }
}

/// The threads that hash. On any thread that is free, the allocator would keep 19 MiB for each that ever was; and those
/// that hash are not those that wait for files.
struct Threads {
    handle: Handle,
    /// There until it is dropped.
    runtime: Option<Runtime>,
}

impl Threads {
    fn start(count: usize) -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread().max_blocking_threads(count).thread_name("argon2").build()?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    fn spawn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        self.handle.spawn_blocking(work)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // It may be dropped by a task of another runtime, which must not wait for these threads.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A place in the queue for a core; given back when dropped.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize) -> Option<Self> {
        let place = Self(waiting);
        metrics::gauge!("ironcart_password_queue").increment(1);
        (waiting.fetch_add(1, Ordering::AcqRel) < MAX_WAITING).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
        metrics::gauge!("ironcart_password_queue").decrement(1);
    }
}

#[async_trait]
impl PasswordHasher for Argon2Passwords {
    #[tracing::instrument(name = "password.hash", level = "debug", skip_all)]
    async fn hash(&self, password: &Password) -> Result<PasswordHash, HashError> {
        let (password, salt) = (password.clone(), salt(&*self.randomness));
        self.on_a_core(move || hash(password.expose().as_bytes(), &salt)).await
    }

    #[tracing::instrument(name = "password.verify", level = "debug", skip_all)]
    async fn verify(&self, attempt: &PasswordAttempt, hash: Option<PasswordHash>) -> Result<bool, HashError> {
        let somebodys = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.nobodys.clone());
        let attempt = attempt.clone();
        let matches = self.on_a_core(move || verify(attempt.expose().as_bytes(), &hash)).await?;
        Ok(matches && somebodys)
    }
}

fn salt(randomness: &dyn Randomness) -> [u8; SALT_BYTES] {
    let mut salt = [0; SALT_BYTES];
    randomness.fill(&mut salt);
    salt
}

fn hash(password: &[u8], salt: &[u8]) -> argon2::password_hash::Result<PasswordHash> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None)?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash: phc::PasswordHash = argon2.hash_password_with_salt(password, salt)?;
    Ok(PasswordHash::new(hash.to_string()))
}

/// Verifies with the costs that the hash names, so that raising ours leaves older hashes valid.
fn verify(attempt: &[u8], hash: &PasswordHash) -> argon2::password_hash::Result<bool> {
    let hash = phc::PasswordHash::new(hash.expose())?;
    match Argon2::default().verify_password(attempt, &hash) {
        Ok(()) => Ok(true),
        Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use crate::SystemRandomness;

    use super::*;

    fn passwords() -> Argon2Passwords {
        Argon2Passwords::new(Arc::new(SystemRandomness)).unwrap()
    }

    fn attempt(text: &str) -> PasswordAttempt {
        PasswordAttempt::new(text).unwrap()
    }

    #[tokio::test]
    async fn a_hash_names_its_costs_and_knows_only_its_password() {
        let passwords = passwords();
        let password = Password::new("Passw0rd!").unwrap();
        let hash = passwords.hash(&password).await.unwrap();
        assert!(hash.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.expose());
        assert!(passwords.verify(&attempt("Passw0rd!"), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify(&attempt("passw0rd!"), Some(hash.clone())).await.unwrap());
        assert_ne!(passwords.hash(&password).await.unwrap(), hash, "salted");
    }

    #[tokio::test]
    async fn an_attempt_on_nobody_fails_and_takes_as_long() {
        let passwords = passwords();
        let hash = passwords.hash(&Password::new("Passw0rd!").unwrap()).await.unwrap();
        let mut spent = [Duration::ZERO; 2];
        for _ in 0..10 {
            for (spent, hash) in spent.iter_mut().zip([Some(hash.clone()), None]) {
                let begun = Instant::now();
                assert!(!passwords.verify(&attempt("wrong"), hash).await.unwrap());
                *spent += begun.elapsed();
            }
        }
        let [known, unknown] = spent;
        assert!(unknown < known * 2 && known < unknown * 2, "known {known:?}, unknown {unknown:?}");
    }

    #[tokio::test]
    async fn a_damaged_hash_is_a_failure_and_not_a_wrong_password() {
        let verified = passwords().verify(&attempt("x"), Some(PasswordHash::new("$argon2id$".to_owned()))).await;
        assert!(matches!(verified, Err(HashError::Failed(_))));
    }

    #[tokio::test]
    async fn the_queue_for_a_core_is_bounded() {
        let passwords = passwords();
        let all = u32::try_from(passwords.cores.available_permits()).unwrap();
        let taken = Arc::clone(&passwords.cores).acquire_many_owned(all).await.unwrap();
        let waiters: Vec<_> = (0..MAX_WAITING)
            .map(|_| {
                let passwords = passwords.clone();
                tokio::spawn(async move { passwords.on_a_core(|| Ok(())).await })
            })
            .collect();
        while passwords.waiting.load(Ordering::Acquire) < MAX_WAITING {
            tokio::task::yield_now().await;
        }
        assert!(matches!(passwords.on_a_core(|| Ok(())).await, Err(HashError::Overloaded)));
        drop(taken);
        for waiter in waiters {
            waiter.await.unwrap().unwrap();
        }
        assert_eq!(passwords.waiting.load(Ordering::Acquire), 0);
        passwords.on_a_core(|| Ok(())).await.unwrap();
    }
}
