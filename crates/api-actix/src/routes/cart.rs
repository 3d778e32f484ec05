//! `/cart`: what a customer means to order.

#[cfg(test)]
mod tests;

use actix_web::HttpResponse;
use actix_web::web::{Data, Json, ServiceConfig};
use domain::cart::{AddCartItemError, Cart, CartLine, CartService, RemoveCartItemError, SetCartItemError};
use domain::id::ProductId;
use domain::money::{Currency, Money};
use domain::quantity::Quantity;
use serde::Serialize;

use crate::access::{Caller, Who};
use crate::body::Body;
use crate::fields::{Fields, Request, id, integer};
use crate::path::PathId;
use crate::problem::{Code, Problem};
use crate::resource::resource;
use crate::wire::{Moment, Text};
use crate::writes::Writes;

/// Mounts the routes.
pub fn configure(config: &mut ServiceConfig) {
    config
        .service(resource("/cart").get(Who::Customer, get).delete(Who::Customer, clear))
        .service(resource("/cart/items").post(Who::Customer, add_item))
        .service(resource("/cart/items/{id}").put(Who::Customer, set_item).delete(Who::Customer, remove_item));
}

async fn get(Caller(actor): Caller, carts: Data<CartService>) -> Result<Json<CartBody>, Problem> {
    Ok(Json(CartBody::from(&carts.get(actor.user_id).await?)))
}

async fn add_item(
    Caller(actor): Caller,
    carts: Data<CartService>,
    writes: Data<Writes>,
    Body(NewLine { product_id, quantity }): Body<NewLine>,
) -> Result<Json<CartBody>, Problem> {
    let cart = writes.run(async move { carts.add_item(actor.user_id, product_id, quantity).await }).await?;
    Ok(Json(CartBody::from(&cart)))
}

async fn set_item(
    PathId(product_id): PathId<ProductId>,
    Caller(actor): Caller,
    carts: Data<CartService>,
    writes: Data<Writes>,
    Body(Units(quantity)): Body<Units>,
) -> Result<Json<CartBody>, Problem> {
    let cart = writes.run(async move { carts.set_item(actor.user_id, product_id, quantity).await }).await?;
    Ok(Json(CartBody::from(&cart)))
}

async fn remove_item(
    PathId(product_id): PathId<ProductId>,
    Caller(actor): Caller,
    carts: Data<CartService>,
    writes: Data<Writes>,
) -> Result<Json<CartBody>, Problem> {
    let cart = writes.run(async move { carts.remove_item(actor.user_id, product_id).await }).await?;
    Ok(Json(CartBody::from(&cart)))
}

async fn clear(Caller(actor): Caller, carts: Data<CartService>, writes: Data<Writes>) -> Result<HttpResponse, Problem> {
    writes.run(async move { carts.clear(actor.user_id).await }).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// The body of `POST /cart/items`.
struct NewLine {
    product_id: ProductId,
    quantity: Quantity,
}

impl Request for NewLine {
    fn read(fields: &mut Fields) -> Option<Self> {
        let product_id = fields.required("productId", id);
        let quantity = fields.required("quantity", integer(Quantity::new));
        Some(Self { product_id: product_id?, quantity: quantity? })
    }
}

/// The body of `PUT /cart/items/{productId}`.
struct Units(Quantity);

impl Request for Units {
    fn read(fields: &mut Fields) -> Option<Self> {
        fields.required("quantity", integer(Quantity::new)).map(Self)
    }
}

/// A cart (contract 2, "shapes").
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct CartBody {
    items: Vec<LineBody>,
    total: Text<Money>,
    currency: Text<Currency>,
    updated_at: Moment,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LineBody {
    product_id: Text<ProductId>,
    name: String,
    quantity: u32,
    unit_price: Text<Money>,
    line_total: Text<Money>,
    available: u64,
}

impl From<&Cart> for CartBody {
    fn from(cart: &Cart) -> Self {
        Self {
            items: cart.lines().iter().map(LineBody::from).collect(),
            total: Text(cart.total()),
            currency: Text(cart.total().currency()),
            updated_at: Moment(cart.updated_at()),
        }
    }
}

impl From<&(CartLine, Money)> for LineBody {
    fn from((line, total): &(CartLine, Money)) -> Self {
        Self {
            product_id: Text(line.product_id),
            name: line.name.to_string(),
            quantity: line.quantity.get(),
            unit_price: Text(line.unit_price.money()),
            line_total: Text(*total),
            available: line.available.get(),
        }
    }
}

impl From<AddCartItemError> for Problem {
    fn from(error: AddCartItemError) -> Self {
        match error {
            AddCartItemError::NotFound => Self::new(Code::NotFound).detail("There is no such product."),
            AddCartItemError::LineFull { .. } => Self::invalid_field("quantity", error),
            AddCartItemError::CartFull => Self::new(Code::CartFull)
                .detail("A cart holds at most 100 different products. Order these, or take one out first."),
            AddCartItemError::Insufficient(shortage) => shortage.into(),
            AddCartItemError::Store(error) => error.into(),
        }
    }
}

impl From<SetCartItemError> for Problem {
    fn from(error: SetCartItemError) -> Self {
        match error {
            SetCartItemError::NotFound => not_in_cart(),
            SetCartItemError::Insufficient(shortage) => shortage.into(),
            SetCartItemError::Store(error) => error.into(),
        }
    }
}

impl From<RemoveCartItemError> for Problem {
    fn from(error: RemoveCartItemError) -> Self {
        match error {
            RemoveCartItemError::NotFound => not_in_cart(),
            RemoveCartItemError::Store(error) => error.into(),
        }
    }
}

fn not_in_cart() -> Problem {
    Problem::new(Code::NotFound).detail("The product is not in the cart.")
}
