//! `/users/me`, and how a user looks.

use actix_web::web::{Data, Json, ServiceConfig};
use domain::account::{AccountService, User};
use domain::id::UserId;
use domain::text::PersonName;
use serde::Serialize;

use crate::access::{Caller, Who};
use crate::problem::{Code, Problem};
use crate::resource::resource;
use crate::wire::{Moment, Text};

/// Mounts the routes.
pub fn configure(config: &mut ServiceConfig) {
    config.service(resource("/users/me").get(Who::Either, me));
}

async fn me(Caller(actor): Caller, accounts: Data<AccountService>) -> Result<Json<UserBody>, Problem> {
    // Users are never deleted, so the session of one that is gone is not to be trusted.
    let user = accounts.find_user(actor.user_id).await?.ok_or_else(|| Problem::new(Code::Unauthenticated))?;
    Ok(Json(UserBody::from(user)))
}

/// A user (contract 2, "shapes").
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UserBody {
    id: Text<UserId>,
    email: String,
    name: Option<String>,
    role: &'static str,
    blocked: bool,
    created_at: Moment,
}

impl From<User> for UserBody {
    fn from(user: User) -> Self {
        Self {
            id: Text(user.id),
            email: user.email.to_string(),
            name: user.name.map(PersonName::into_string),
            role: user.role.as_str(),
            blocked: user.blocked,
            created_at: Moment(user.created_at),
        }
    }
}
