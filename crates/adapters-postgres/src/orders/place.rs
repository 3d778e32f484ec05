//! Placing orders, several in one transaction: lock customers, carts and products in this order, decide one after the
//! other, write, commit.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Text, Uuid as SqlUuid};
use diesel::{QueryResult, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::clock::Ids;
use domain::id::{OrderId, ProductId};
use domain::idempotency::ClaimLost;
use domain::money::{Currency, Money, Price};
use domain::order::{Buyer, Order, PlaceBatch, PlaceOrder, PlaceOrderError, ProductInCart};
use domain::quantity::Quantity;
use tokio::try_join;
use uuid::Uuid;

use super::customer::{Looks, recent_units, standings};
use super::load::load;
use super::stock::{LockedStock, Moves};
use super::write_orders::write_orders;
use crate::batch::BatchedWork;
use crate::cached::{cached, column};
use crate::customers::lock_customers;
use crate::error::damaged;
use crate::idempotency::{Effect, lock_claims};
use crate::schema::cart_items;

/// Places orders.
pub(super) struct Placing {
    pub ids: Arc<dyn Ids>,
}

impl BatchedWork for Placing {
    type Command = PlaceOrder;
    type Done = Order;
    type Refusal = PlaceOrderError;

    const NAME: &'static str = "place_order";
    /// The ids are in the commands: what was committed is found under them.
    const REPEATABLE: bool = true;

    async fn run(
        &self,
        connection: &AsyncPgConnection,
        commands: &[PlaceOrder],
        again: bool,
    ) -> QueryResult<Vec<Result<Order, PlaceOrderError>>> {
        let Some(currency) = commands.first().map(|command| command.policy.min_total.currency()) else {
            return Ok(Vec::new());
        };
        let looks = looks(commands);
        let claims = commands.iter().filter_map(|command| command.claim.as_ref());
        let ((mut batch, stock), standing_claims) =
            try_join!(biased; lock_buyers(connection, &looks, currency), lock_claims(connection, claims))?;
        // Whoever placed them before held the same customers' locks, and has ended.
        let mut placed = if again { placed_before(connection, commands).await? } else { HashMap::new() };
        count_recent_units(connection, &mut batch, commands, &looks).await?;
        let mut new = Vec::with_capacity(commands.len());
        let outcomes = commands.iter().map(|command| {
            if let Some(order) = placed.remove(&command.id) {
                return Ok(order);
            }
            if !standing_claims.stands(command.claim.as_ref()) {
                return Err(ClaimLost.into());
            }
            let order = batch.decide(command)?;
            new.push(order.clone());
            Ok(order)
        });
        let outcomes = outcomes.collect();
        self.write(connection, commands, &new, stock).await?;
        Ok(outcomes)
    }
}

impl Placing {
    async fn write(
        &self,
        connection: &AsyncPgConnection,
        commands: &[PlaceOrder],
        orders: &[Order],
        stock: LockedStock,
    ) -> QueryResult<()> {
        if orders.is_empty() {
            return Ok(());
        }
        let mut moves = Moves::on(stock, self.ids.as_ref());
        orders.iter().try_for_each(|order| moves.take(order))?;
        let placed: HashSet<OrderId> = orders.iter().map(|order| order.id).collect();
        let effects = commands.iter().filter(|command| placed.contains(&command.id));
        let effects =
            effects.filter_map(|command| Some(Effect { claim: command.claim.as_ref()?, order_id: command.id }));
        write_orders(connection, orders, &moves, &effects.collect::<Vec<_>>()).await
    }
}

/// Whom the fraud rules look at. Of several orders of one customer, the earliest has the day that began first, so
/// nothing is left uncounted.
fn looks(commands: &[PlaceOrder]) -> Looks {
    let mut looks = Looks::new();
    for command in commands {
        let now = looks.entry(command.customer_id.uuid()).or_insert(command.at);
        *now = command.at.min(*now);
    }
    looks
}

/// Locks the customers, then their carts and what is in them, counts what the fraud rules look at, and gives what the
/// products hold. All shares a round trip: the customers' locks come first, so the counts are taken, and the carts are
/// read, under them.
async fn lock_buyers(
    connection: &AsyncPgConnection,
    looks: &Looks,
    currency: Currency,
) -> QueryResult<(PlaceBatch, LockedStock)> {
    let ids: Vec<Uuid> = looks.keys().copied().collect();
    let (locked, mut standings, carts, products) = try_join!(
        biased;
        lock_customers(connection, &ids),
        standings(connection, looks),
        lock_carts(connection, &ids),
        lock_products(connection, &ids)
    )?;
    let stock = products.iter().map(|product| (product.id, product.stock)).collect();
    let products = products.into_iter().map(|row| product_in_cart(row, currency)).collect::<QueryResult<_>>()?;
    let mut batch = PlaceBatch { buyers: HashMap::new(), products };
    for customer in locked {
        let buyer = Buyer {
            email: customer.email,
            since: customer.created_at,
            standing: standings.remove(&customer.id).unwrap_or_default(),
            recent_units: BTreeMap::new(),
            cart: Vec::new(),
        };
        batch.buyers.insert(customer.id.into(), buyer);
    }
    for (customer, product, quantity) in carts {
        if let Some(buyer) = batch.buyers.get_mut(&customer.into()) {
            buyer.cart.push((product.into(), Quantity::new(quantity.into()).map_err(damaged)?));
        }
    }
    Ok((batch, stock))
}

async fn lock_carts(mut connection: &AsyncPgConnection, customers: &[Uuid]) -> QueryResult<Vec<(Uuid, Uuid, i32)>> {
    cart_items::table
        .filter(cart_items::user_id.eq_any(customers))
        .order((cart_items::user_id, cart_items::added_at, cart_items::product_id))
        .select((cart_items::user_id, cart_items::product_id, cart_items::quantity))
        .for_update()
        .load(&mut connection)
        .await
}

/// The orders of these commands that are there, with the answers that they had.
async fn placed_before(
    connection: &AsyncPgConnection,
    commands: &[PlaceOrder],
) -> QueryResult<HashMap<OrderId, Order>> {
    let placed = load(connection, &column(commands, |command| command.id.uuid())).await?;
    Ok(placed.into_iter().map(|order| (order.id, order)).collect())
}

/// A product under lock.
#[derive(QueryableByName)]
struct LockedProduct {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = BigInt)]
    price_minor: i64,
    #[diesel(sql_type = BigInt)]
    stock: i64,
    #[diesel(sql_type = Bool)]
    archived: bool,
}

/// Locks the products of all carts, by id, so that no two transactions ever deadlock. `FOR NO KEY UPDATE` excludes the
/// same writers as `FOR UPDATE` but not the foreign-key checks of other transactions.
///
/// As an array the ids are looked up one by one. Joined, they are expected to be hundreds, for which a small catalogue
/// is read as a whole.
async fn lock_products(mut connection: &AsyncPgConnection, customers: &[Uuid]) -> QueryResult<Vec<LockedProduct>> {
    let lock = sql_query(
        "SELECT id, name, price_minor, stock, archived_at IS NOT NULL AS archived FROM products \
         WHERE id = ANY (ARRAY(SELECT product_id FROM cart_items WHERE user_id = ANY ($1))) \
         ORDER BY id FOR NO KEY UPDATE",
    );
    cached(lock.bind::<Array<SqlUuid>, _>(customers)).load(&mut connection).await
}

/// Counts units for the optional fraud rule, if any of the orders is under it.
async fn count_recent_units(
    connection: &AsyncPgConnection,
    batch: &mut PlaceBatch,
    commands: &[PlaceOrder],
    looks: &Looks,
) -> QueryResult<()> {
    if commands.iter().all(|command| command.policy.fraud.max_units_per_product.is_none()) {
        return Ok(());
    }
    let products: Vec<Uuid> = batch.products.keys().map(|product| product.uuid()).collect();
    for (customer, units) in recent_units(connection, looks, &products).await? {
        if let Some(buyer) = batch.buyers.get_mut(&customer.into()) {
            buyer.recent_units = units;
        }
    }
    Ok(())
}

fn product_in_cart(row: LockedProduct, currency: Currency) -> QueryResult<(ProductId, ProductInCart)> {
    let LockedProduct { id, name, price_minor, stock, archived } = row;
    let price = Price::new(Money::from_minor(price_minor, currency)).map_err(damaged)?;
    Ok((id.into(), ProductInCart { name, price, stock: stock.max(0).cast_unsigned(), archived }))
}
