//! Products for the tests of the rules, and the tests of the use cases against mocked ports.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use chrono::DateTime;
use uuid::Uuid;

use super::*;
use crate::clock::{MockClock, MockIds, Timestamp};
use crate::money::{Currency, Money, Price};
use crate::text::{Description, ProductName};

pub(super) fn at(seconds: i64) -> Timestamp {
    DateTime::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
}

/// An anvil: 10 on hand, first version, created at second 0.
pub(super) fn product() -> Product {
    Product {
        id: Uuid::from_u128(1).into(),
        name: ProductName::new("Anvil").unwrap(),
        description: Some(Description::new("Drops well.").unwrap()),
        price: Price::new(Money::from_minor(4999, Currency::USD)).unwrap(),
        stock: Stock::new(10).unwrap(),
        edit_version: EditVersion::FIRST,
        archived_at: None,
        created_at: at(0),
        updated_at: at(0),
    }
}

fn service(products: MockProductRepository) -> CatalogService {
    let mut clock = MockClock::new();
    clock.expect_now().return_const(at(60));
    let mut ids = MockIds::new();
    let mut next = 100;
    ids.expect_next().returning(move || {
        next += 1;
        Uuid::from_u128(next)
    });
    CatalogService { products: Arc::new(products), clock: Arc::new(clock), ids: Arc::new(ids) }
}

#[tokio::test]
async fn an_archived_product_is_found_by_admins_only() {
    let mut products = MockProductRepository::new();
    products.expect_find().returning(|_| Ok(Some(Product { archived_at: Some(at(1)), ..product() })));
    let service = service(products);
    assert_eq!(service.find(product().id, false).await.unwrap(), None);
    assert!(service.find(product().id, true).await.unwrap().is_some());
}

#[tokio::test]
async fn a_product_is_created_with_ids_of_its_own_and_the_time_of_the_wish() {
    let mut products = MockProductRepository::new();
    products
        .expect_create()
        .withf(|command| {
            command.id.uuid() != command.movement_id.uuid() && command.at == at(60) && command.product.stock.get() == 5
        })
        .once()
        .returning(|command| Ok(command.decide().0));
    let Product { name, description, price, .. } = product();
    let wish = NewProduct { name, description, price, stock: Stock::new(5).unwrap() };
    let created = service(products).create(wish, Uuid::from_u128(8).into()).await.unwrap();
    assert_eq!((created.stock.get(), created.edit_version), (5, EditVersion::FIRST));
}

#[test]
fn a_product_with_stock_begins_its_ledger_and_one_without_does_not() {
    let Product { name, description, price, .. } = product();
    let wish = NewProduct { name, description, price, stock: Stock::new(5).unwrap() };
    let command = CreateProduct {
        id: product().id,
        movement_id: Uuid::from_u128(2).into(),
        product: wish.clone(),
        actor_id: Uuid::from_u128(8).into(),
        at: at(0),
    };
    let (created, movement) = command.decide();
    let movement = movement.unwrap();
    assert_eq!((created.stock.get(), movement.delta, movement.stock_after.get()), (5, 5, 5));
    let empty = CreateProduct { product: NewProduct { stock: Stock::NONE, ..wish }, ..command };
    assert_eq!(empty.decide().1, None);
}
