//! `/cart`: what a customer means to order.

#[cfg(test)]
mod tests;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Json};
use domain::cart::{AddCartItemError, Cart, CartLine, CartService, RemoveCartItemError, SetCartItemError};
use domain::id::ProductId;
use domain::money::{Currency, Money};
use domain::quantity::Quantity;
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::{Caller, Who};
use crate::body::Body;
use crate::fields::{Fields, Request, id, integer};
use crate::openapi::{Operation, Tag, schemas};
use crate::path::PathId;
use crate::problem::{Code, Problem};
use crate::resource::{Routes, resource};
use crate::wire::{Moment, Text};
use crate::writes::Writes;

/// Mounts the routes.
pub fn configure(routes: &mut impl Routes) {
    routes
        .service(
            resource("/cart")
                .get(
                    Who::Customer,
                    get,
                    Operation::new(Tag::Cart, "getCart", "Read the cart")
                        .explained("With prices and stock as they are now. Archived products drop out.")
                        .answers::<CartBody>(StatusCode::OK, "The cart; an empty one, if there is none yet."),
                )
                .delete(
                    Who::Customer,
                    clear,
                    Operation::new(Tag::Cart, "clearCart", "Empty the cart")
                        .answers_nothing(StatusCode::NO_CONTENT, "The cart is empty."),
                ),
        )
        .service(
            resource("/cart/items").post(
                Who::Customer,
                add_item,
                Operation::new(Tag::Cart, "addCartItem", "Put a product into the cart")
                    .explained("Adds to what is there. A line holds at most 1000 units, a cart 100 lines.")
                    .answers::<CartBody>(StatusCode::OK, "The cart as it is now.")
                    .refuses(&[Code::NotFound, Code::CartFull, Code::InsufficientStock]),
            ),
        )
        .service(
            resource("/cart/items/{productId}")
                .put(
                    Who::Customer,
                    set_item,
                    Operation::new(Tag::Cart, "setCartItem", "Set the units of a product in the cart")
                        .answers::<CartBody>(StatusCode::OK, "The cart as it is now.")
                        .refuses(&[Code::NotFound, Code::InsufficientStock]),
                )
                .delete(
                    Who::Customer,
                    remove_item,
                    Operation::new(Tag::Cart, "removeCartItem", "Take a product out of the cart")
                        .answers::<CartBody>(StatusCode::OK, "The cart as it is now.")
                        .refuses(&[Code::NotFound]),
                ),
        );
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
        let product_id = fields.required("productId", id());
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
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Cart)]
struct CartBody {
    items: Vec<LineBody>,
    #[schema(value_type = schemas::Money)]
    total: Text<Money>,
    #[schema(value_type = schemas::Currency)]
    currency: Text<Currency>,
    #[schema(value_type = schemas::Timestamp)]
    updated_at: Moment,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CartLine)]
struct LineBody {
    #[schema(value_type = schemas::Id)]
    product_id: Text<ProductId>,
    name: String,
    quantity: u32,
    #[schema(value_type = schemas::Money)]
    unit_price: Text<Money>,
    #[schema(value_type = schemas::Money)]
    line_total: Text<Money>,
    /// Units in stock now.
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
