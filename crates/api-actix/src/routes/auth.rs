//! `/auth`: registering, logging in and out, refreshing, changing one's password.

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use actix_web::web::Data;
use domain::account::{
    AccountService, ChangePassword, ChangePasswordError, Email, HashError, LogIn, LogInError, Password,
    PasswordAttempt, RefreshError, RefreshToken, Register, RegisterError, SessionTokens, SignError,
};
use domain::text::PersonName;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::access::{Caller, Who};
use crate::body::Body;
use crate::fields::{Fields, Request, text};
use crate::limits::{Attempted, FromClient};
use crate::openapi::{Operation, Tag};
use crate::problem::{Code, Problem};
use crate::resource::{Routes, resource};
use crate::routes::users::UserBody;
use crate::writes::Writes;

/// Mounts the routes.
pub fn configure(routes: &mut impl Routes) {
    routes
        .service(
            resource("/auth/register").post(
                Who::Anyone,
                register,
                Operation::new(Tag::Accounts, "register", "Open an account")
                    .explained("The account is a customer's. Log in to get tokens.")
                    .answers::<UserBody>(StatusCode::CREATED, "The account.")
                    .refuses(&[Code::EmailTaken]),
            ),
        )
        .service(
            resource("/auth/login").post(
                Who::Anyone,
                log_in,
                Operation::new(Tag::Accounts, "logIn", "Log in")
                    .explained("A wrong password, an unknown e-mail and a blocked account have one answer.")
                    .answers::<TokensBody>(StatusCode::OK, "An access token, and a refresh token for later ones.")
                    .refuses(&[Code::InvalidCredentials]),
            ),
        )
        .service(
            resource("/auth/refresh").post(
                Who::Anyone,
                refresh,
                Operation::new(Tag::Accounts, "refresh", "Trade a refresh token for new tokens")
                    .explained("Each refresh token works once. Using a spent one ends its session.")
                    .answers::<TokensBody>(StatusCode::OK, "The next pair of tokens.")
                    .refuses(&[Code::Unauthenticated]),
            ),
        )
        .service(
            resource("/auth/logout").post(
                Who::Anyone,
                log_out,
                Operation::new(Tag::Accounts, "logOut", "End a session")
                    .explained("Its access tokens end with it. An unknown refresh token is no error.")
                    .answers_nothing(StatusCode::NO_CONTENT, "The session has ended."),
            ),
        )
        .service(
            resource("/auth/change-password").post(
                Who::Either,
                change_password,
                Operation::new(Tag::Accounts, "changePassword", "Change one's password")
                    .explained("Ends every session but the caller's. The new password must differ from the old one.")
                    .answers_nothing(StatusCode::NO_CONTENT, "The password is changed.")
                    .refuses(&[Code::InvalidCredentials]),
            ),
        );
}

async fn register(
    FromClient(client): FromClient,
    attempted: Attempted,
    accounts: Data<AccountService>,
    writes: Data<Writes>,
    Body(command): Body<Register>,
) -> Result<HttpResponse, Problem> {
    attempted.at(&command.email);
    let user = writes.run(async move { accounts.register(client, command).await }).await?;
    Ok(HttpResponse::Created().json(UserBody::from(user)))
}

async fn log_in(
    FromClient(client): FromClient,
    attempted: Attempted,
    accounts: Data<AccountService>,
    writes: Data<Writes>,
    Body(command): Body<LogIn>,
) -> Result<HttpResponse, Problem> {
    attempted.at(&command.email);
    let tokens = writes.run(async move { accounts.log_in(client, command).await }).await?;
    Ok(show_tokens(tokens))
}

async fn refresh(
    accounts: Data<AccountService>,
    writes: Data<Writes>,
    Body(Presented(token)): Body<Presented>,
) -> Result<HttpResponse, Problem> {
    let tokens = writes.run(async move { accounts.refresh(&token).await }).await?;
    Ok(show_tokens(tokens))
}

async fn log_out(
    accounts: Data<AccountService>,
    writes: Data<Writes>,
    Body(Presented(token)): Body<Presented>,
) -> Result<HttpResponse, Problem> {
    writes.run(async move { accounts.log_out(&token).await }).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn change_password(
    Caller(actor): Caller,
    FromClient(client): FromClient,
    attempted: Attempted,
    accounts: Data<AccountService>,
    writes: Data<Writes>,
    Body(command): Body<ChangePassword>,
) -> Result<HttpResponse, Problem> {
    if let Some(user) = accounts.find_user(actor.user_id).await? {
        attempted.at(&user.email);
    }
    writes.run(async move { accounts.change_password(client, actor, command).await }).await?;
    Ok(HttpResponse::NoContent().finish())
}

impl Request for Register {
    fn read(fields: &mut Fields) -> Option<Self> {
        let email = fields.required("email", text(Email::parse));
        let password = fields.required("password", text(Password::new));
        let name = fields.optional("name", text(PersonName::new));
        Some(Self { email: email?, password: password?, name })
    }
}

impl Request for LogIn {
    fn read(fields: &mut Fields) -> Option<Self> {
        let email = fields.required("email", text(Email::parse));
        let password = fields.required("password", text(PasswordAttempt::new));
        Some(Self { email: email?, password: password? })
    }
}

/// A refresh token in a body.
struct Presented(RefreshToken);

impl Request for Presented {
    fn read(fields: &mut Fields) -> Option<Self> {
        fields.required("refreshToken", text(RefreshToken::new)).map(Self)
    }
}

impl Request for ChangePassword {
    fn read(fields: &mut Fields) -> Option<Self> {
        let old = fields.required("oldPassword", text(PasswordAttempt::new));
        let new = fields.required("newPassword", text(Password::new));
        if let (Some(old), Some(new)) = (&old, &new)
            && old == new
        {
            fields.refuse("newPassword", ChangePasswordError::Unchanged);
        }
        Some(Self { old: old?, new: new? })
    }

    fn refine(mut schema: Value) -> Value {
        schema["examples"] = json!([{ "oldPassword": "Corr3ct-horse", "newPassword": "Batt3ry-staple" }]);
        schema
    }
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Tokens)]
struct TokensBody {
    access_token: String,
    refresh_token: String,
    /// Always `Bearer`.
    token_type: &'static str,
    /// How long the access token lasts, in seconds.
    expires_in: u32,
    user: UserBody,
}

fn show_tokens(tokens: SessionTokens) -> HttpResponse {
    let body = TokensBody {
        access_token: tokens.access_token.0,
        refresh_token: tokens.refresh_token.expose().to_owned(),
        token_type: "Bearer",
        expires_in: tokens.expires_in_seconds,
        user: UserBody::from(tokens.user),
    };
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(body)
}

impl From<HashError> for Problem {
    fn from(error: HashError) -> Self {
        match error {
            HashError::Overloaded => Self::new(Code::Unavailable).caused_by(error),
            HashError::Failed(_) => Self::internal(error),
        }
    }
}

impl From<SignError> for Problem {
    fn from(error: SignError) -> Self {
        Self::internal(error)
    }
}

impl From<RegisterError> for Problem {
    fn from(error: RegisterError) -> Self {
        match error {
            RegisterError::EmailTaken => {
                Self::new(Code::EmailTaken).detail("There is an account with this e-mail already. Log in instead.")
            }
            RegisterError::Refused(refusal) => refusal.into(),
            RegisterError::Hash(error) => error.into(),
            RegisterError::Store(error) => error.into(),
        }
    }
}

impl From<LogInError> for Problem {
    fn from(error: LogInError) -> Self {
        match error {
            LogInError::InvalidCredentials => Self::new(Code::InvalidCredentials),
            LogInError::Refused(refusal) => refusal.into(),
            LogInError::Hash(error) => error.into(),
            LogInError::Sign(error) => error.into(),
            LogInError::Store(error) => error.into(),
        }
    }
}

impl From<RefreshError> for Problem {
    fn from(error: RefreshError) -> Self {
        match error {
            RefreshError::InvalidToken => Self::new(Code::Unauthenticated)
                .detail("The refresh token is not valid, was used before, or its session has ended. Log in again."),
            RefreshError::Sign(error) => error.into(),
            RefreshError::Store(error) => error.into(),
        }
    }
}

impl From<ChangePasswordError> for Problem {
    fn from(error: ChangePasswordError) -> Self {
        match error {
            ChangePasswordError::Unchanged => Self::invalid_field("newPassword", error),
            ChangePasswordError::WrongPassword => {
                Self::new(Code::InvalidCredentials).detail("The old password is wrong.")
            }
            ChangePasswordError::Refused(refusal) => refusal.into(),
            ChangePasswordError::Hash(error) => error.into(),
            ChangePasswordError::Store(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests;
