//! What every `CartRepository` must do, on PostgreSQL: current prices, parallel additions, and no archived lines.

use adapters_postgres::{PgCarts, PgProducts};
use chrono::{DateTime, TimeDelta};
use domain::cart::{
    AddCartItem, AddCartItemError, Cart, CartRepository, ClearCart, RemoveCartItem, RemoveCartItemError, SetCartItem,
    SetCartItemError,
};
use domain::catalog::{
    ArchiveProduct, CreateProduct, EditProduct, NewProduct, ProductChanges, ProductRepository, Stock,
};
use domain::clock::Timestamp;
use domain::id::{ProductId, UserId};
use domain::money::{Currency, Money, Price};
use domain::quantity::Quantity;
use domain::text::ProductName;
use futures_util::future::join_all;
use ironcart_tests::database::{Database, new_uuid};

struct Shop {
    database: Database,
    products: PgProducts,
    carts: PgCarts,
    admin: UserId,
    customer: UserId,
}

fn at(seconds: i64) -> Timestamp {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap() + TimeDelta::seconds(seconds)
}

fn price(minor: i64) -> Price {
    Price::new(Money::from_minor(minor, Currency::USD)).unwrap()
}

fn units(units: i64) -> Quantity {
    Quantity::new(units).unwrap()
}

/// Name and quantity of each line.
fn lines(cart: &Cart) -> Vec<(String, u32)> {
    cart.lines().iter().map(|(line, _)| (line.name.to_string(), line.quantity.get())).collect()
}

impl Shop {
    async fn open() -> Self {
        let database = Database::migrated().await;
        Self {
            products: PgProducts::new(database.pool.clone(), Currency::USD),
            carts: PgCarts::new(database.pool.clone(), Currency::USD),
            admin: database.admin().await,
            customer: database.customer().await,
            database,
        }
    }

    async fn product(&self, name: &str, minor: i64, stock: i64) -> ProductId {
        let product = NewProduct {
            name: ProductName::new(name).unwrap(),
            description: None,
            price: price(minor),
            stock: Stock::new(stock).unwrap(),
        };
        let (id, movement_id) = (new_uuid().into(), new_uuid().into());
        let command = CreateProduct { id, movement_id, product, actor_id: self.admin, at: at(0) };
        self.products.create(&command).await.unwrap().id
    }

    async fn add(&self, product_id: ProductId, quantity: i64, second: i64) -> Result<Cart, AddCartItemError> {
        let quantity = units(quantity);
        self.carts.add_item(&AddCartItem { customer_id: self.customer, product_id, quantity, at: at(second) }).await
    }

    async fn set(&self, product_id: ProductId, quantity: i64) -> Result<Cart, SetCartItemError> {
        let quantity = units(quantity);
        self.carts.set_item(&SetCartItem { customer_id: self.customer, product_id, quantity, at: at(50) }).await
    }

    async fn remove(&self, product_id: ProductId) -> Result<Cart, RemoveCartItemError> {
        self.carts.remove_item(&RemoveCartItem { customer_id: self.customer, product_id, at: at(60) }).await
    }

    async fn archive(&self, id: ProductId) {
        self.products.archive(&ArchiveProduct { id, at: at(70) }).await.unwrap();
    }

    async fn cart(&self) -> Cart {
        self.carts.get(self.customer, at(80)).await.unwrap()
    }
}

#[tokio::test]
async fn a_cart_never_used_is_empty_and_as_old_as_its_customer() {
    let shop = Shop::open().await;
    let cart = shop.cart().await;
    assert_eq!(lines(&cart), []);
    assert_eq!(cart.total().to_string(), "0.00");
    assert_eq!(cart.updated_at().to_rfc3339(), "2026-01-01T00:00:00+00:00");
}

#[tokio::test]
async fn a_cart_shows_prices_and_stocks_of_the_moment() {
    let shop = Shop::open().await;
    let (anvil, rope) = (shop.product("Anvil", 4999, 5).await, shop.product("Rope", 250, 100).await);
    shop.add(anvil, 2, 1).await.unwrap();
    let cart = shop.add(rope, 3, 2).await.unwrap();
    assert_eq!(lines(&cart), [("Anvil".to_owned(), 2), ("Rope".to_owned(), 3)]);
    assert_eq!(cart.total().to_string(), "107.48");
    assert_eq!(cart.updated_at(), at(2));

    let changes = ProductChanges {
        name: Some(ProductName::new("Great anvil").unwrap()),
        price: Some(price(1000)),
        stock: Some(Stock::new(1).unwrap()),
        ..ProductChanges::default()
    };
    let movement_id = new_uuid().into();
    let edit = EditProduct { id: anvil, changes, if_match: None, movement_id, actor_id: shop.admin, at: at(3) };
    shop.products.edit(&edit).await.unwrap();
    let cart = shop.cart().await;
    let (line, total) = &cart.lines()[0];
    assert_eq!((line.name.as_str(), total.to_string().as_str(), line.available.get()), ("Great anvil", "20.00", 1));
    assert_eq!(cart.total().to_string(), "27.50");
    assert_eq!(cart.updated_at(), at(2), "a look changes nothing");
}

#[tokio::test]
async fn lines_are_set_removed_and_cleared() {
    let shop = Shop::open().await;
    let (anvil, rope) = (shop.product("Anvil", 4999, 5).await, shop.product("Rope", 250, 100).await);
    assert!(matches!(shop.set(anvil, 1).await, Err(SetCartItemError::NotFound)));
    assert!(matches!(shop.remove(anvil).await, Err(RemoveCartItemError::NotFound)));
    shop.add(anvil, 2, 1).await.unwrap();
    shop.add(rope, 1, 2).await.unwrap();
    assert_eq!(lines(&shop.set(anvil, 5).await.unwrap()), [("Anvil".to_owned(), 5), ("Rope".to_owned(), 1)]);
    let refused = shop.set(anvil, 6).await;
    assert!(matches!(&refused, Err(SetCartItemError::Insufficient(short)) if short.available == 5), "{refused:?}");
    assert_eq!(lines(&shop.remove(anvil).await.unwrap()), [("Rope".to_owned(), 1)]);
    let clear = ClearCart { customer_id: shop.customer, at: at(65) };
    shop.carts.clear(&clear).await.unwrap();
    shop.carts.clear(&clear).await.unwrap();
    assert_eq!(lines(&shop.cart().await), []);
    assert_eq!(shop.cart().await.updated_at(), at(65));
}

#[tokio::test]
async fn no_more_is_put_in_than_is_on_hand_and_nothing_that_is_not_on_sale() {
    let shop = Shop::open().await;
    let anvil = shop.product("Anvil", 4999, 5).await;
    shop.add(anvil, 3, 1).await.unwrap();
    let refused = shop.add(anvil, 3, 2).await;
    let Err(AddCartItemError::Insufficient(short)) = refused else { panic!("{refused:?}") };
    assert_eq!((short.product_id, short.available, short.requested), (anvil, 5, 6));
    let unknown = shop.add(new_uuid().into(), 1, 2).await;
    assert!(matches!(unknown, Err(AddCartItemError::NotFound)), "{unknown:?}");
    let gone = shop.product("Gone", 1, 5).await;
    shop.archive(gone).await;
    assert!(matches!(shop.add(gone, 1, 2).await, Err(AddCartItemError::NotFound)));
    assert_eq!(shop.cart().await.updated_at(), at(1), "what is refused changes nothing");
}

#[tokio::test]
async fn an_archived_product_is_dropped_by_the_next_look() {
    let shop = Shop::open().await;
    let (anvil, rope) = (shop.product("Anvil", 4999, 5).await, shop.product("Rope", 250, 100).await);
    shop.add(anvil, 2, 1).await.unwrap();
    shop.add(rope, 1, 2).await.unwrap();
    shop.archive(anvil).await;
    assert_eq!(shop.database.number("SELECT count(*) AS n FROM cart_items").await, 2);
    let cart = shop.cart().await;
    assert_eq!((lines(&cart), cart.updated_at()), (vec![("Rope".to_owned(), 1)], at(80)));
    assert_eq!(shop.database.number("SELECT count(*) AS n FROM cart_items").await, 1);
}

#[tokio::test]
async fn an_archived_product_is_dropped_by_the_next_change() {
    let shop = Shop::open().await;
    let (anvil, rope) = (shop.product("Anvil", 4999, 5).await, shop.product("Rope", 250, 100).await);
    shop.add(anvil, 2, 1).await.unwrap();
    shop.archive(anvil).await;
    assert!(matches!(shop.set(anvil, 1).await, Err(SetCartItemError::NotFound)));
    assert!(matches!(shop.remove(anvil).await, Err(RemoveCartItemError::NotFound)));
    assert_eq!(lines(&shop.add(rope, 1, 3).await.unwrap()), [("Rope".to_owned(), 1)]);
    assert_eq!(shop.database.number("SELECT count(*) AS n FROM cart_items").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_additions_add_up() {
    let shop = Shop::open().await;
    let (anvil, rope) = (shop.product("Anvil", 4999, 1000).await, shop.product("Rope", 250, 1000).await);
    let additions = (0..30).map(|n| shop.add(if n % 2 == 0 { anvil } else { rope }, 2, n));
    for outcome in join_all(additions).await {
        outcome.unwrap();
    }
    let mut found = lines(&shop.cart().await);
    found.sort();
    assert_eq!(found, [("Anvil".to_owned(), 30), ("Rope".to_owned(), 30)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_additions_stay_within_the_stock_and_the_line() {
    let shop = Shop::open().await;
    let (few, many) = (shop.product("Few", 1, 7).await, shop.product("Many", 1, 100_000).await);
    let outcomes = join_all((0..10).map(|n| shop.add(few, 1, n))).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 7);
    let outcomes = join_all((0..5).map(|n| shop.add(many, 300, n))).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 3);
    let full = outcomes
        .into_iter()
        .filter_map(Result::err)
        .all(|refused| matches!(refused, AddCartItemError::LineFull { in_cart: 900 }));
    assert!(full);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cart_never_gets_a_101st_line() {
    let shop = Shop::open().await;
    let mut products = Vec::new();
    for number in 0..105 {
        products.push(shop.product(&format!("Product {number}"), 100, 5).await);
    }
    for product in &products[..98] {
        shop.add(*product, 1, 1).await.unwrap();
    }
    let outcomes = join_all(products[98..].iter().map(|product| shop.add(*product, 1, 2))).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 2);
    for refused in outcomes.into_iter().filter_map(Result::err) {
        assert!(matches!(refused, AddCartItemError::CartFull), "{refused:?}");
    }
    assert_eq!(shop.cart().await.lines().len(), 100);
    // More of what is in it still fits.
    shop.add(products[0], 1, 3).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_a_cart_and_archiving_at_once_leave_no_archived_line_to_see() {
    let shop = Shop::open().await;
    for round in 0..10 {
        let product = shop.product(&format!("Product {round}"), 100, 5).await;
        let (added, ()) = tokio::join!(shop.add(product, 1, round), shop.archive(product));
        assert!(matches!(added, Ok(_) | Err(AddCartItemError::NotFound)), "{added:?}");
        assert_eq!(lines(&shop.cart().await), []);
    }
}
