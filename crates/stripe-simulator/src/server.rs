//! The listener: reads requests, hands them to the API, the page or the control API, and writes the answers.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming as IncomingBody;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::http::{Incoming, Outcome};
use crate::simulation::Simulation;
use crate::{api, control, page};

/// Connections open at once; further ones wait in the listener's queue.
const MAX_CONNECTIONS: usize = 1_024;
/// A request's headers have to arrive within this time.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest request body.
pub(crate) const MAX_BODY_BYTES: usize = 1024 * 1024;

/// Why a connection is closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection was cut, as ordered")]
struct ConnectionCut;

/// Accepts connections until the task is dropped.
pub(crate) async fn serve(listener: TcpListener, simulation: Arc<Simulation>) -> Infallible {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            // The semaphore is never closed; if it were, nobody could be let in any more.
            return std::future::pending().await;
        };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let simulation = Arc::clone(&simulation);
        tokio::spawn(async move {
            let _place = place;
            let service = service_fn(move |request| answer(Arc::clone(&simulation), request));
            let served = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .serve_connection(TokioIo::new(stream), service)
                .await;
            if let Err(error) = served {
                tracing::debug!(%error, "connection ended");
            }
        });
    }
}

async fn answer(
    simulation: Arc<Simulation>,
    request: Request<IncomingBody>,
) -> Result<Response<Full<Bytes>>, ConnectionCut> {
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, MAX_BODY_BYTES).collect().await else {
        return Ok(api::refuse_too_large().into_response());
    };
    let incoming = Incoming {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body: body.to_bytes(),
    };
    // A task of its own: what was begun is finished even if the caller hangs up meanwhile, as at Stripe.
    let outcome = tokio::spawn(route(simulation, incoming)).await;
    match outcome {
        Ok(Outcome::Answer(reply)) => Ok(reply.into_response()),
        Ok(Outcome::Cut) | Err(_) => Err(ConnectionCut),
    }
}

async fn route(simulation: Arc<Simulation>, request: Incoming) -> Outcome {
    let area = request.segments().first().copied().unwrap_or_default().to_owned();
    match area.as_str() {
        "v1" => api::handle(&simulation, request).await,
        "_control" => Outcome::Answer(control::http::handle(simulation, &request).await),
        _ => Outcome::Answer(page::handle(&simulation, &request)),
    }
}
