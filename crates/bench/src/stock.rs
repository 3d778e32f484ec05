//! What the shop under load holds: products, and customers who are logged in.

use std::sync::Arc;

use adapters_crypto::{Argon2Passwords, Hs256Tokens, JwtSecret, SystemRandomness};
use app::system::SystemClock;
use chrono::TimeDelta;
use domain::account::{AccessTokens as _, Claims, Password, PasswordHasher as _, Role};
use domain::clock::{Clock as _, Timestamp};
use domain::id::{SessionId, UserId};
use uuid::Uuid;

use crate::error::{During as _, Step};
use crate::postgres::{Database, Server};
use crate::shop::{JWT_SECRET, ShopConfig};

/// Products on sale.
pub(crate) const PRODUCTS: u64 = 1_000;
/// Customers who come again and again.
pub(crate) const CUSTOMERS: u64 = 2_000;
/// All accounts: the customers, and a reserve with filled carts that each order once in a window.
pub(crate) const ACCOUNTS: u64 = 20_000;

/// The password of every account.
pub(crate) const PASSWORD: &str = "Correct-Horse-7";

const FILL: &str = include_str!("../sql/fill.sql");
const FILL_CARTS: &str = include_str!("../sql/fill_carts.sql");

/// The tables that ids are of, as `sql/fill.sql` numbers them.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Product = 1,
    User = 2,
    Session = 3,
}

/// The id of the `number`th row of a table; the first is 1.
pub(crate) fn id(kind: Kind, number: u64) -> String {
    format!("00000000-000{}-7000-8{:03}-{:012}", kind as u8, number / 1_000_000_000_000, number % 1_000_000_000_000)
}

/// The same as a number.
pub(crate) const fn number_id(kind: Kind, number: u64) -> u128 {
    // Decimal digits stand for hexadecimal ones.
    let (mut digits, mut rest, mut place) = (0_u128, number, 0);
    while rest > 0 {
        digits |= ((rest % 10) as u128) << place;
        rest /= 10;
        place += 4;
    }
    ((kind as u128) << 80) | (0x7000 << 64) | (0x8 << 60) | digits
}

/// Fills in the numbers of a script.
fn with_numbers(sql: &str) -> String {
    sql.replace(":products", &PRODUCTS.to_string()).replace(":customers", &ACCOUNTS.to_string())
}

/// Migrates the template and fills it.
pub(crate) async fn fill(server: &Server, shop: &ShopConfig) -> Step<()> {
    shop.run(&server.template_url(), "migrate").await?;
    let hash = password_hash().await?;
    let client = server.template_client().await?;
    let fill = with_numbers(FILL).replace(":password_hash", &hash);
    client.batch_execute(&fill).await.during("filling the database")?;
    client.batch_execute(crate::limit::FUNCTIONS).await.during("making the functions of the one-call form")
}

async fn password_hash() -> Step<String> {
    let password = Password::new(PASSWORD).during("choosing a password")?;
    let hasher = Argon2Passwords::new(Arc::new(SystemRandomness)).during("hashing a password")?;
    let hash = hasher.hash(&password).await.during("hashing a password")?;
    Ok(hash.expose().to_owned())
}

/// Fills all empty carts with two lines.
pub(crate) async fn fill_carts(database: &Database) -> Step<()> {
    database.run("filling carts", &with_numbers(FILL_CARTS)).await
}

/// Empties all carts at once.
pub(crate) async fn empty_carts(database: &Database) -> Step<()> {
    database.run("emptying carts", "TRUNCATE cart_items").await
}

/// The access tokens of all accounts, the first customer's first.
pub(crate) fn access_tokens() -> Step<Vec<String>> {
    let secret = JwtSecret::new(JWT_SECRET).during("signing tokens")?;
    let tokens = Hs256Tokens::new(&secret, &[]);
    let now = SystemClock.now();
    (1..=ACCOUNTS).map(|number| sign(&tokens, number, Role::Customer, now)).collect()
}

/// The access token of one account.
pub(crate) fn access_token(number: u64, role: Role) -> Step<String> {
    let secret = JwtSecret::new(JWT_SECRET).during("signing tokens")?;
    sign(&Hs256Tokens::new(&secret, &[]), number, role, SystemClock.now())
}

fn sign(tokens: &Hs256Tokens, number: u64, role: Role, now: Timestamp) -> Step<String> {
    let uuid = |kind| Uuid::from_u128(number_id(kind, number));
    let claims = Claims {
        token_id: uuid(Kind::Session),
        user_id: UserId::from(uuid(Kind::User)),
        role,
        session_id: SessionId::from(uuid(Kind::Session)),
        issued_at: now,
        expires_at: now + TimeDelta::days(1),
    };
    Ok(tokens.issue(&claims).during("signing a token")?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_that_the_scripts_make_of_numbers() {
        // As `('0000000000027000' || 8000000000000000 + 17)::uuid` does.
        assert_eq!(id(Kind::User, 17), "00000000-0002-7000-8000-000000000017");
        assert_eq!(id(Kind::Product, 1_000), "00000000-0001-7000-8000-000000001000");
        assert_eq!(id(Kind::Session, 123_000_000_000_456), "00000000-0003-7000-8123-000000000456");
        for (kind, number) in [(Kind::User, 17), (Kind::Product, 1_000), (Kind::Session, 123_000_000_000_456)] {
            assert_eq!(Uuid::from_u128(number_id(kind, number)).to_string(), id(kind, number));
        }
    }
}
