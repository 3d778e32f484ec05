//! `/users/me`, and how a user looks.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Json};
use domain::account::{AccountService, User};
use domain::id::UserId;
use domain::text::PersonName;
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::{Caller, Who};
use crate::openapi::{Operation, Tag, schemas};
use crate::problem::{Code, Problem};
use crate::resource::{Routes, resource};
use crate::wire::{Moment, Text};

/// Mounts the routes.
pub fn configure(routes: &mut impl Routes) {
    routes.service(
        resource("/users/me").get(
            Who::Either,
            me,
            Operation::new(Tag::Accounts, "getMe", "Who the token belongs to")
                .answers::<UserBody>(StatusCode::OK, "The user."),
        ),
    );
}

async fn me(Caller(actor): Caller, accounts: Data<AccountService>) -> Result<Json<UserBody>, Problem> {
    // Users are never deleted, so the session of one that is gone is not to be trusted.
    let user = accounts.find_user(actor.user_id).await?.ok_or_else(|| Problem::new(Code::Unauthenticated))?;
    Ok(Json(UserBody::from(user)))
}

/// A user (contract 2, "shapes").
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = User)]
pub struct UserBody {
    #[schema(value_type = schemas::Id)]
    id: Text<UserId>,
    email: String,
    name: Option<String>,
    #[schema(value_type = schemas::UserRole)]
    role: &'static str,
    /// Whether they are kept from logging in.
    blocked: bool,
    #[schema(value_type = schemas::Timestamp)]
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
