//! `app seed-demo`: a catalogue that looks real, a customer and an admin, for trying the shop out.

mod catalogue;

use domain::account::{Client, CreateAdmin, CreateAdminError, Email, HashError, Password, Register, RegisterError};
use domain::catalog::{CreateProductError, NewProduct, ProductFilter, ProductOrder, Stock};
use domain::id::UserId;
use domain::money::{Currency, Money, Price, parse_amount_minor};
use domain::page::PageLimit;
use domain::store::StoreError;
use domain::text::{Description, PersonName, ProductName};

use self::catalogue::{CATALOGUE, DemoProduct};
use crate::shop::UseCases;

/// The demo's admin.
pub const ADMIN_EMAIL: &str = "admin@ironcart.example";
/// The demo's customer.
pub const CUSTOMER_EMAIL: &str = "customer@ironcart.example";
/// The password of both. Known to everybody: the demo is refused in production.
pub const PASSWORD: &str = "Demo-Passw0rd!";

/// Why the demo data is not (all) there.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// A value of the demo breaks a rule of the domain: a bug here.
    #[error("the demo data breaks a rule at {what}: {reason}")]
    Demo {
        /// Which value.
        what: String,
        /// Which rule.
        reason: String,
    },
    /// Someone else has the admin's address.
    #[error("{ADMIN_EMAIL} is the address of an account that is no admin; remove or promote it first")]
    AdminAddressTaken,
    /// A password could not be hashed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What was brought in; what was there before is not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seeded {
    /// New products.
    pub products: usize,
    /// New accounts.
    pub accounts: usize,
}

/// Brings the demo in, unless the shop has a product already.
pub(crate) async fn seed_if_empty(use_cases: &UseCases) -> Result<Seeded, SeedError> {
    let one = PageLimit::new(1).unwrap_or_default();
    let products = use_cases.catalog.list(&ProductFilter::default(), &ProductOrder::default(), one).await?;
    if products.items.is_empty() { seed(use_cases, |_, _| ()).await } else { Ok(Seeded::default()) }
}

/// Brings the demo in. Running it again adds what is missing and changes nothing. Tells how many products it has come
/// to, and of how many.
pub async fn seed(use_cases: &UseCases, tell: impl Fn(u64, u64)) -> Result<Seeded, SeedError> {
    let mut seeded = Seeded::default();
    let (admin_id, is_new) = admin(use_cases).await?;
    seeded.accounts += usize::from(is_new) + usize::from(customer(use_cases).await?);
    for (demo, number) in CATALOGUE.iter().zip(1..) {
        let product = demo.product(use_cases.currency)?;
        match use_cases.catalog.create(product, admin_id).await {
            Ok(_) => seeded.products += 1,
            Err(CreateProductError::NameTaken) => {}
            Err(CreateProductError::Store(error)) => return Err(error.into()),
        }
        tell(number, CATALOGUE.len() as u64);
    }
    tracing::info!(seeded.products, seeded.accounts, "the demo data is in");
    Ok(seeded)
}

/// The demo's admin, and whether they are new.
async fn admin(use_cases: &UseCases) -> Result<(UserId, bool), SeedError> {
    let accounts = &use_cases.accounts;
    let email = || checked("the admin's e-mail", Email::parse(ADMIN_EMAIL));
    let create = CreateAdmin { email: email()?, password: password()?, promote: false };
    match accounts.create_admin(create).await {
        Ok(admin) => Ok((admin.id, true)),
        Err(CreateAdminError::EmailTaken) => {
            let existing = accounts.users.find_by_email(&email()?).await?.map(|credentials| credentials.user);
            let admin = existing.filter(|user| user.role == domain::account::Role::Admin);
            Ok((admin.ok_or(SeedError::AdminAddressTaken)?.id, false))
        }
        Err(CreateAdminError::Hash(error)) => Err(error.into()),
        Err(CreateAdminError::Store(error)) => Err(error.into()),
    }
}

/// Registers the demo's customer; says whether they are new.
async fn customer(use_cases: &UseCases) -> Result<bool, SeedError> {
    let register = Register {
        email: checked("the customer's e-mail", Email::parse(CUSTOMER_EMAIL))?,
        password: password()?,
        name: Some(checked("the customer's name", PersonName::new("Casey Customer"))?),
    };
    match use_cases.accounts.register(Client::ourselves(), register).await {
        Ok(_) => Ok(true),
        Err(RegisterError::EmailTaken) => Ok(false),
        Err(RegisterError::Refused(refusal)) => Err(StoreError::unavailable(refusal).into()),
        Err(RegisterError::Hash(error)) => Err(error.into()),
        Err(RegisterError::Store(error)) => Err(error.into()),
    }
}

fn password() -> Result<Password, SeedError> {
    checked("the password", Password::new(PASSWORD))
}

impl DemoProduct {
    fn product(&self, currency: Currency) -> Result<NewProduct, SeedError> {
        let price_minor = checked(self.name, parse_amount_minor(self.price))?;
        Ok(NewProduct {
            name: checked(self.name, ProductName::new(self.name))?,
            description: Some(checked(self.name, Description::new(self.description))?),
            price: checked(self.name, Price::new(Money::from_minor(price_minor, currency)))?,
            stock: checked(self.name, Stock::new(self.stock))?,
        })
    }
}

fn checked<T, E: std::fmt::Display>(what: &str, value: Result<T, E>) -> Result<T, SeedError> {
    value.map_err(|reason| SeedError::Demo { what: what.to_owned(), reason: reason.to_string() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_demo_product_keeps_the_rules_and_has_a_name_of_its_own() {
        assert!(CATALOGUE.len() >= 60);
        let names: HashSet<String> =
            CATALOGUE.iter().map(|demo| demo.product(Currency::USD).unwrap().name.as_str().to_lowercase()).collect();
        assert_eq!(names.len(), CATALOGUE.len());
    }

    #[test]
    fn the_demo_accounts_keep_the_rules() {
        assert!(password().is_ok());
        assert!(Email::parse(ADMIN_EMAIL).is_ok());
        assert!(Email::parse(CUSTOMER_EMAIL).is_ok());
    }
}
