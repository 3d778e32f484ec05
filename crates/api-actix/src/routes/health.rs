//! `GET /health/live` and `GET /health/ready`.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Json};
use async_trait::async_trait;
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::Who;
use crate::openapi::{Operation, Tag};
use crate::problem::{Code, Problem};
use crate::resource::{Routes, resource};

/// Tells whether this instance can do its work: the database answers, and its schema is at least as new as the
/// binary needs.
#[async_trait]
pub trait Readiness: Send + Sync {
    /// `Err` says, for the log, why the instance is not ready.
    async fn check(&self) -> Result<(), NotReady>;
}

/// Why an instance is not ready.
#[derive(Debug, thiserror::Error)]
#[error("not ready: {0}")]
pub struct NotReady(pub String);

pub(crate) fn configure(routes: &mut impl Routes) {
    routes
        .service(
            resource("/health/live").get(
                Who::Anyone,
                live,
                Operation::new(Tag::Running, "checkLive", "Whether the process serves")
                    .answers::<HealthBody>(StatusCode::OK, "It does."),
            ),
        )
        .service(
            resource("/health/ready").get(
                Who::Anyone,
                ready,
                Operation::new(Tag::Running, "checkReady", "Whether the instance can do its work")
                    .answers::<HealthBody>(StatusCode::OK, "The database answers, and its schema is new enough.")
                    .refuses(&[Code::Unavailable]),
            ),
        );
}

#[derive(Serialize, ToSchema)]
#[schema(as = Health)]
struct HealthBody {
    status: &'static str,
}

async fn live() -> Json<HealthBody> {
    Json(HealthBody { status: "live" })
}

async fn ready(readiness: Data<dyn Readiness>) -> Result<Json<HealthBody>, Problem> {
    readiness.check().await.map_err(|not_ready| Problem::new(Code::Unavailable).caused_by(not_ready))?;
    Ok(Json(HealthBody { status: "ready" }))
}
