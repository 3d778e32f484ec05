//! Writes that outlive their request: a client that hangs up must leave nothing half-done.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use actix_web::Error;
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::web::Data;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tracing::Instrument;

use crate::problem::Problem;

/// The most writes under way at once; a further one is 503.
const MAX_WRITES: u32 = 1024;

/// The most orders and payments that are begun at once; a further one is 503 before anything is looked at, which costs
/// so little that those who were let in hardly notice the crowd. At a thousand a second the last waits half a second.
const MAX_CHECKOUTS: usize = 512;

/// Runs writing use cases on the main runtime, detached from the connection that asked for them.
#[derive(Debug)]
pub struct Writes {
    runtime: Handle,
    places: Arc<Semaphore>,
    checkouts: Semaphore,
}

impl Writes {
    /// Runs writes on `runtime`, which must outlive the server's workers.
    #[must_use]
    pub fn on(runtime: Handle) -> Self {
        let checkouts = Semaphore::new(MAX_CHECKOUTS);
        Self { runtime, places: Arc::new(Semaphore::new(MAX_WRITES as usize)), checkouts }
    }

    /// Runs a write to its end, whether or not the caller still waits for it, and answers with its outcome.
    pub async fn run<T, E>(&self, write: impl Future<Output = Result<T, E>> + Send + 'static) -> Result<T, Problem>
    where
        T: Send + 'static,
        E: Send + 'static,
        Problem: From<E>,
    {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_full| Problem::load())?;
        let task = async move {
            let outcome = write.await;
            drop(place);
            outcome
        };
        let outcome = self.runtime.spawn(task.in_current_span()).await.map_err(Problem::internal)?;
        Ok(outcome?)
    }

    /// Waits until every write has ended, for at most `patience`, and lets no new one begin; says whether all have.
    pub async fn all_ended(&self, patience: Duration) -> bool {
        let all = tokio::time::timeout(patience, self.places.acquire_many(MAX_WRITES)).await;
        let ended = matches!(all, Ok(Ok(_)));
        self.places.close();
        ended
    }
}

/// The middleware of routes that begin to order or to pay, outside of everything else that they do.
pub(crate) async fn bound_checkouts<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let Some(writes) = request.app_data::<Data<Writes>>().cloned() else {
        return Err(Problem::internal("the application is built without a place for writes").into());
    };
    let Ok(_place) = writes.checkouts.try_acquire() else {
        return Ok(request.error_response(Problem::load()).map_into_right_body());
    };
    Ok(next.call(request).await?.map_into_left_body())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::atomic::{AtomicBool, Ordering};

    use actix_web::HttpResponse;
    use actix_web::test::TestRequest;
    use domain::store::StoreError;

    use super::*;
    use crate::access::Who;
    use crate::application::Shell;
    use crate::once::Guarded;
    use crate::openapi::Operation;
    use crate::problem::Code;
    use crate::resource::resource;
    use crate::testing::{bearer, send_on, shell};

    #[actix_web::test]
    async fn a_write_whose_caller_has_gone_still_ends() {
        let writes = Writes::on(Handle::current());
        let ended = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&ended);
        let write = async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            flag.store(true, Ordering::SeqCst);
            Ok::<_, StoreError>(())
        };
        let hung_up = tokio::time::timeout(Duration::from_millis(1), writes.run(write)).await;
        assert!(hung_up.is_err());
        assert!(!ended.load(Ordering::SeqCst));
        assert!(writes.all_ended(Duration::from_secs(5)).await);
        assert!(ended.load(Ordering::SeqCst));
    }

    #[actix_web::test]
    async fn a_write_that_panics_is_a_failure_of_ours_and_not_of_the_process() {
        let writes = Writes::on(Handle::current());
        let divisor = AtomicBool::new(false);
        let write = async move { Ok::<_, StoreError>(1 / i32::from(divisor.load(Ordering::SeqCst))) };
        assert_eq!(writes.run(write).await.unwrap_err().code(), Code::Internal);
        assert!(writes.all_ended(Duration::from_secs(1)).await);
    }

    #[actix_web::test]
    async fn a_write_that_hangs_does_not_hold_the_shutdown_for_ever() {
        let writes = Writes::on(Handle::current());
        let write = std::future::pending::<Result<(), StoreError>>();
        let _hung_up = tokio::time::timeout(Duration::from_millis(1), writes.run(write)).await;
        assert!(!writes.all_ended(Duration::from_millis(10)).await);
    }

    async fn placed() -> HttpResponse {
        HttpResponse::Created().finish()
    }

    async fn added() -> HttpResponse {
        HttpResponse::Ok().finish()
    }

    #[actix_web::test]
    async fn a_checkout_too_many_is_turned_away_before_its_token_is_looked_at_and_nothing_else_is() {
        let writes = Arc::new(Writes::on(Handle::current()));
        let statuses = async |token: &str| {
            let mut statuses = Vec::new();
            for path in ["/api/v1/orders", "/api/v1/cart/items"] {
                let routes = |config: &mut actix_web::web::ServiceConfig| {
                    let described = Operation::part_of_a_page;
                    config
                        .service(resource("/orders").post_once(Who::Customer, Guarded::Checkout, placed, described()))
                        .service(resource("/cart/items").post(Who::Customer, added, described()));
                };
                let shell = Shell { writes: Arc::clone(&writes), ..shell() };
                let request = TestRequest::post().uri(path).insert_header(bearer(token));
                let answer = send_on(shell, |_| {}, routes, request).await;
                assert_eq!(answer.header("retry-after"), if answer.status == 503 { "1" } else { "" });
                statuses.push(answer.status);
            }
            statuses
        };
        let all_but_one = writes.checkouts.try_acquire_many(511).unwrap();
        assert_eq!(statuses("customer").await, [201, 200], "each gives its place back");
        let the_last = writes.checkouts.try_acquire().unwrap();
        assert_eq!(statuses("customer").await, [503, 200]);
        assert_eq!(statuses("forged").await, [503, 401]);
        drop((the_last, all_but_one));
        assert_eq!(statuses("customer").await, [201, 200]);
    }
}
