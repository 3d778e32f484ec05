//! `/admin/users`: finding users, changing their role, blocking them.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Json};
use domain::account::{AccountService, Email, Role, UpdateUserError, UserChange, UserFilter, UserPosition};
use domain::id::UserId;
use domain::page::PageLimit;
use domain::text::{self, InvalidText, Lines};
use uuid::Uuid;

use crate::access::Who;
use crate::body::Body;
use crate::cursor;
use crate::fields::{self, Fields, Request, boolean, one_of};
use crate::openapi::{Operation, Tag, schemas};
use crate::path::PathId;
use crate::problem::{Code, Problem};
use crate::query::Query;
use crate::resource::{Routes, resource};
use crate::routes::users::UserBody;
use crate::wire::ListBody;
use crate::writes::Writes;

/// Mounts the routes.
pub fn configure(routes: &mut impl Routes) {
    routes
        .service(
            resource("/admin/users").get(
                Who::Admin,
                list,
                Operation::new(Tag::Accounts, "listUsers", "Find users")
                    .explained("`email` is looked for anywhere in addresses.")
                    .answers_list::<UserBody>("Users, newest first."),
            ),
        )
        .service(
            resource("/admin/users/{id}").patch(
                Who::Admin,
                update,
                Operation::new(Tag::Accounts, "updateUser", "Change a user's role, or block them")
                    .explained("Ends that user's sessions. The last admin can be neither demoted nor blocked.")
                    .answers::<UserBody>(StatusCode::OK, "The user as they are now.")
                    .refuses(&[Code::NotFound, Code::InvalidTransition]),
            ),
        );
}

async fn list(
    accounts: Data<AccountService>,
    Query(query): Query<UserQuery>,
) -> Result<Json<ListBody<UserBody>>, Problem> {
    let page = accounts.list_users(&query.filter, query.after, query.limit).await?;
    let position = |position: UserPosition| (position.created_at.timestamp_micros(), position.id.uuid().as_u128());
    Ok(Json(ListBody::new(page, UserBody::from, position)))
}

async fn update(
    PathId(id): PathId<UserId>,
    accounts: Data<AccountService>,
    writes: Data<Writes>,
    Body(change): Body<UserChange>,
) -> Result<Json<UserBody>, Problem> {
    let user = writes.run(async move { accounts.update_user(id, change).await }).await?;
    Ok(Json(UserBody::from(user)))
}

const ROLES: [(&str, Role); 2] = [(Role::Customer.as_str(), Role::Customer), (Role::Admin.as_str(), Role::Admin)];

struct UserQuery {
    filter: UserFilter,
    after: Option<UserPosition>,
    limit: PageLimit,
}

impl Request for UserQuery {
    fn read(fields: &mut Fields) -> Option<Self> {
        let filter = UserFilter {
            email_contains: fields.optional("email", fields::text_of(schemas::part_of_email, part_of_email)),
            role: fields.optional("role", one_of(&ROLES)),
            blocked: fields.optional("blocked", boolean()),
        };
        let after = fields::cursor(fields, |(micros, id): (i64, u128)| {
            let created_at = cursor::moment(micros)?;
            Some(UserPosition { created_at, id: UserId::from(Uuid::from_u128(id)) })
        });
        Some(Self { filter, after, limit: fields::limit(fields) })
    }
}

fn part_of_email(part: &str) -> Result<String, InvalidText> {
    text::checked(part, 1, Email::MAX_LENGTH, Lines::Single).map(|part| part.to_ascii_lowercase())
}

impl Request for UserChange {
    fn read(fields: &mut Fields) -> Option<Self> {
        let role = fields.optional("role", one_of(&ROLES));
        let blocked = fields.optional("blocked", boolean());
        Some(Self { role, blocked })
    }
}

impl From<UpdateUserError> for Problem {
    fn from(error: UpdateUserError) -> Self {
        match error {
            UpdateUserError::NotFound => Self::new(Code::NotFound).detail("There is no such user."),
            UpdateUserError::LastAdmin { from, to } => Self::new(Code::InvalidTransition)
                .detail("This is the last admin who can run the shop. Appoint another one first.")
                .with("from", from)
                .with("to", to),
            UpdateUserError::Store(error) => error.into(),
        }
    }
}
