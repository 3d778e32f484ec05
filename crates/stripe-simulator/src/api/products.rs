//! `/v1/products` and `/v1/prices`, as far as sessions need them.

use super::list::expanded;
use super::{Answer, Call};
use crate::account::Operation;
use crate::account::catalogue::{Price, Product};
use crate::account::money::parse_currency;
use crate::error::ApiError;
use crate::ids::new_id;
use crate::params::{Field, refuse_unknown};

pub(crate) fn create_product(operation: &mut Operation<'_>, call: &Call<'_>) -> Answer {
    refuse_unknown(call.params, &["name", "description", "images.#", "active", "metadata.*", "expand.#", "id"])?;
    let root = Field::root(call.params);
    let product = Product {
        id: root.get("id").text()?.map_or_else(|| new_id("prod"), str::to_owned),
        created: operation.now,
        active: root.get("active").boolean()?.unwrap_or(true),
        name: root.get("name").required_text()?.to_owned(),
        description: root.get("description").text()?.map(str::to_owned),
        images: root.get("images").texts()?.into_iter().map(str::to_owned).collect(),
        metadata: root.get("metadata").metadata()?,
    };
    Ok(operation.add_product(product))
}

pub(crate) fn retrieve_product(operation: &mut Operation<'_>, call: &Call<'_>, id: &str) -> Answer {
    refuse_unknown(call.params, &["expand.#"])?;
    let product = operation.account.products.get(id);
    Ok(product.ok_or_else(|| ApiError::missing_resource("product", id, "id"))?.to_json())
}

pub(crate) fn create_price(operation: &mut Operation<'_>, call: &Call<'_>) -> Answer {
    refuse_unknown(call.params, &["product", "unit_amount", "currency", "active", "metadata.*", "expand.#"])?;
    let root = Field::root(call.params);
    let currency = parse_currency(root.get("currency").required_text()?, "currency")?;
    let unit_amount =
        root.get("unit_amount").non_negative_integer()?.ok_or_else(|| root.get("unit_amount").missing())?;
    let product = root.get("product").required_text()?;
    if operation.account.products.get(product).is_none() {
        return Err(ApiError::missing_resource("product", product, "product"));
    }
    let price = Price {
        id: new_id("price"),
        created: operation.now,
        active: root.get("active").boolean()?.unwrap_or(true),
        currency,
        unit_amount,
        product: product.to_owned(),
        metadata: root.get("metadata").metadata()?,
    };
    let object = operation.add_price(price);
    expanded(operation.account, call.version, object, &root)
}

pub(crate) fn retrieve_price(operation: &mut Operation<'_>, call: &Call<'_>, id: &str) -> Answer {
    refuse_unknown(call.params, &["expand.#"])?;
    let price = operation.account.prices.get(id);
    let object = price.ok_or_else(|| ApiError::missing_resource("price", id, "price"))?.to_json();
    expanded(operation.account, call.version, object, &Field::root(call.params))
}
