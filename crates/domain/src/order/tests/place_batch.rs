//! Orders that share a transaction come out as if each had had one of its own.

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use uuid::Uuid;

use crate::fraud::{CustomerStanding, FraudLimits};
use crate::id::{OrderId, ProductId, UserId};
use crate::money::Price;
use crate::order::sample::{at, attempt_id, place_order, policy, product_id, usd};
use crate::order::{Buyer, CartProduct, Order, OrderPolicy, PlaceBatch, PlaceOrder, PlaceSnapshot, ProductInCart};
use crate::quantity::Quantity;

const PRODUCTS: u128 = 3;

/// A customer to begin with: pending orders, and units of each product in the cart (0: no such line).
type Customer = (u32, [u32; PRODUCTS as usize]);

/// A shop as its tables are: what a transaction of one order would load, and leave behind.
#[derive(Clone)]
struct Tables {
    stock: [u64; PRODUCTS as usize],
    customers: Vec<Customer>,
    orders: Vec<Order>,
}

fn customer(number: usize) -> UserId {
    Uuid::from_u128(0xC0 + number as u128).into()
}

impl Tables {
    fn cart(&self, number: usize) -> Vec<(ProductId, Quantity)> {
        let wanted = self.customers[number].1.iter().zip(0..PRODUCTS).filter(|(units, _)| **units > 0);
        wanted.map(|(units, product)| (product_id(product), Quantity::new((*units).into()).unwrap())).collect()
    }

    fn standing(&self, number: usize) -> CustomerStanding {
        let placed = self.orders.iter().filter(|order| order.customer_id == customer(number)).count();
        let pending_orders = self.customers[number].0 + u32::try_from(placed).unwrap();
        CustomerStanding { pending_orders, ..CustomerStanding::default() }
    }

    fn recent_units(&self, number: usize) -> BTreeMap<ProductId, u64> {
        let mut units = BTreeMap::new();
        for order in self.orders.iter().filter(|order| order.customer_id == customer(number)) {
            for line in &order.lines {
                *units.entry(line.product_id).or_default() += u64::from(line.quantity.get());
            }
        }
        units
    }

    fn snapshot(&self, number: usize) -> PlaceSnapshot {
        let line = |(product, quantity): (ProductId, Quantity)| CartProduct {
            product_id: product,
            name: "Mug".to_owned(),
            price: Price::new(usd(500)).unwrap(),
            stock: self.stock[index(product)],
            archived: false,
            quantity,
        };
        PlaceSnapshot {
            standing: self.standing(number),
            customer_email: "ada@example.com".to_owned(),
            customer_since: at(0),
            recent_units: self.recent_units(number),
            cart: self.cart(number).into_iter().map(line).collect(),
        }
    }

    /// One order in a transaction of its own.
    fn place(&mut self, number: usize, command: &PlaceOrder) -> Result<Order, String> {
        let order = command.decide(&self.snapshot(number)).map_err(|refusal| refusal.to_string())?;
        for line in &order.lines {
            self.stock[index(line.product_id)] -= u64::from(line.quantity.get());
        }
        self.customers[number].1 = [0; PRODUCTS as usize];
        self.orders.push(order.clone());
        Ok(order)
    }

    fn batch(&self) -> PlaceBatch {
        let buyer = |number| Buyer {
            email: "ada@example.com".to_owned(),
            since: at(0),
            standing: self.standing(number),
            recent_units: self.recent_units(number),
            cart: self.cart(number),
        };
        let product = |number: u128| ProductInCart {
            name: "Mug".to_owned(),
            price: Price::new(usd(500)).unwrap(),
            stock: self.stock[usize::try_from(number).unwrap()],
            archived: false,
        };
        PlaceBatch {
            buyers: (0..self.customers.len()).map(|number| (customer(number), buyer(number))).collect(),
            products: (0..PRODUCTS).map(|number| (product_id(number), product(number))).collect::<HashMap<_, _>>(),
        }
    }
}

fn index(product: ProductId) -> usize {
    (0..PRODUCTS).position(|number| product_id(number) == product).unwrap()
}

fn command(number: usize, nth: usize) -> PlaceOrder {
    let fraud = FraudLimits { max_pending_orders: 2, max_units_per_product: Some(6), ..FraudLimits::default() };
    PlaceOrder {
        id: OrderId::from(Uuid::from_u128(0x0DE0_0000 + nth as u128)),
        customer_id: customer(number),
        pay_now: Some(attempt_id(nth as u128)),
        policy: OrderPolicy { fraud, ..policy() },
        ..place_order()
    }
}

proptest! {
    #[test]
    fn a_batch_decides_as_transactions_of_one_order_do(
        stock in prop::array::uniform3(0_u64..12),
        customers in prop::collection::vec((0_u32..3, prop::array::uniform3(0_u32..5)), 1..5),
        who in prop::collection::vec(0_usize..5, 1..12),
    ) {
        let mut tables = Tables { stock, customers, orders: Vec::new() };
        let mut batch = tables.batch();
        for (nth, who) in who.into_iter().enumerate() {
            let number = who % tables.customers.len();
            let command = command(number, nth);
            let alone = tables.place(number, &command);
            let together = batch.decide(&command).map_err(|refusal| refusal.to_string());
            prop_assert_eq!(together, alone);
        }
        for (number, left) in (0..PRODUCTS).zip(tables.stock) {
            prop_assert_eq!(batch.products[&product_id(number)].stock, left);
        }
    }
}

#[test]
fn of_two_orders_of_one_cart_the_second_finds_it_empty() {
    let tables = Tables { stock: [9; 3], customers: vec![(0, [1, 0, 0])], orders: Vec::new() };
    let mut batch = tables.batch();
    assert!(batch.decide(&command(0, 0)).is_ok());
    assert_eq!(batch.decide(&command(0, 1)).unwrap_err().to_string(), "the cart is empty; put something into it first");
}

#[test]
fn of_two_customers_after_the_last_unit_the_first_gets_it() {
    let tables = Tables { stock: [1, 0, 0], customers: vec![(0, [1, 0, 0]), (0, [1, 0, 0])], orders: Vec::new() };
    let mut batch = tables.batch();
    assert!(batch.decide(&command(0, 0)).is_ok());
    assert_eq!(batch.decide(&command(1, 1)).unwrap_err().to_string(), "only 0 of the 1 units wanted are in stock");
}

#[test]
fn who_is_not_among_the_buyers_is_an_error_of_ours_and_spoils_nothing() {
    let tables = Tables { stock: [1, 0, 0], customers: vec![(0, [1, 0, 0])], orders: Vec::new() };
    let mut batch = tables.batch();
    assert!(batch.decide(&command(7, 0)).is_err());
    assert!(batch.decide(&command(0, 1)).is_ok());
}
