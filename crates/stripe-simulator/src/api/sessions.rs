//! `/v1/checkout/sessions`.

use super::expand::check_expansions;
use super::list::{CREATED_PARAMS, LIST_PARAMS, Page, answer, expanded, list_json};
use super::{Answer, Call};
use crate::account::Operation;
use crate::account::catalogue::{Price, Product};
use crate::account::money::{check_chargeable, parse_currency};
use crate::account::payment::MethodKind;
use crate::account::session::{LineItem, Session, SessionStatus};
use crate::error::ApiError;
use crate::ids::{new_id, new_session_id};
use crate::params::{Field, Metadata, refuse_unknown};

const DEFAULT_LIFETIME_SECONDS: i64 = 24 * 60 * 60;
const LEAST_LIFETIME_SECONDS: i64 = 30 * 60;
const MAX_LINE_ITEMS: usize = 100;
const MAX_CLIENT_REFERENCE_CHARS: usize = 200;

/// Parameters that have their effect here.
const CREATE_PARAMS: [&str; 26] = [
    "mode",
    "success_url",
    "cancel_url",
    "client_reference_id",
    "currency",
    "customer_creation",
    "customer_email",
    "expires_at",
    "expand.#",
    "locale",
    "submit_type",
    "billing_address_collection",
    "ui_mode",
    "metadata.*",
    "payment_intent_data.metadata.*",
    "payment_intent_data.description",
    "payment_intent_data.receipt_email",
    "line_items.#.quantity",
    "line_items.#.price",
    "line_items.#.price_data.currency",
    "line_items.#.price_data.unit_amount",
    "line_items.#.price_data.product",
    "line_items.#.price_data.product_data.name",
    "line_items.#.price_data.product_data.description",
    "line_items.#.price_data.product_data.images.#",
    "line_items.#.price_data.product_data.metadata.*",
];

/// Parameters that change nothing that the simulator shows: taken and ignored.
const IGNORED_PARAMS: [&str; 20] = [
    "adaptive_pricing.**",
    "allowed_payment_method_types.**",
    "branding_settings.**",
    "consent_collection.**",
    "custom_text.**",
    "excluded_payment_method_types.**",
    "integration_identifier",
    "line_items.#.adjustable_quantity.**",
    "line_items.#.price_data.tax_behavior",
    "name_collection.**",
    "payment_intent_data.shipping.**",
    "payment_intent_data.statement_descriptor",
    "payment_intent_data.statement_descriptor_suffix",
    "payment_method_collection",
    "payment_method_configuration",
    "payment_method_data.**",
    "payment_method_options.**",
    "phone_number_collection.**",
    "saved_payment_method_options.**",
    "wallet_options.**",
];

/// Parameters that Stripe knows and the simulator does not play: refused by name, since to ignore them would be a lie.
const UNPLAYED_PARAMS: [&str; 20] = [
    "after_expiration",
    "allow_promotion_codes",
    "automatic_tax",
    "custom_fields",
    "customer",
    "customer_account",
    "customer_update",
    "discounts",
    "invoice_creation",
    "managed_payments",
    "optional_items",
    "origin_context",
    "permissions",
    "redirect_on_completion",
    "return_url",
    "setup_intent_data",
    "shipping_address_collection",
    "shipping_options",
    "subscription_data",
    "tax_id_collection",
];

pub(crate) fn create(operation: &mut Operation<'_>, call: &Call<'_>) -> Answer {
    let root = Field::root(call.params);
    check_names(&root, call)?;
    check_mode(&root, call)?;
    check_expansions("checkout.session", &root)?;
    let mut session = read_session(&root, operation)?;
    session.line_items = read_line_items(&root, operation)?;
    price_session(&mut session)?;
    let object = session.to_json(call.version);
    operation.open_session(session);
    expanded(operation.account, call.version, object, &root)
}

fn check_names(root: &Field<'_>, call: &Call<'_>) -> Result<(), ApiError> {
    for name in UNPLAYED_PARAMS {
        if root.get(name).is_present() {
            return Err(ApiError::invalid(format!(
                "The simulator does not play '{name}'. Stripe knows this parameter; leave it out here."
            ))
            .param(name));
        }
    }
    let mut known: Vec<&str> = CREATE_PARAMS.into_iter().chain(IGNORED_PARAMS).collect();
    if !call.version.is_endive_or_newer() {
        known.push("payment_method_types.#");
    }
    refuse_unknown(call.params, &known)
}

fn check_mode(root: &Field<'_>, call: &Call<'_>) -> Result<(), ApiError> {
    let mode = root.get("mode").one_of(&["payment", "setup", "subscription"])?;
    match mode {
        Some("payment") => {}
        Some(other) => {
            return Err(
                ApiError::invalid(format!("The simulator plays only mode 'payment', not '{other}'.")).param("mode")
            );
        }
        None => return Err(root.get("mode").missing()),
    }
    let (all, played): (&[&str], &str) = if call.version.is_endive_or_newer() {
        (&["hosted_page", "embedded_page", "form", "elements"], "hosted_page")
    } else {
        (&["hosted", "embedded", "custom"], "hosted")
    };
    match root.get("ui_mode").one_of(all)? {
        Some(other) if other != played => {
            Err(ApiError::invalid(format!("The simulator plays only ui_mode '{played}', not '{other}'."))
                .param("ui_mode"))
        }
        _ => Ok(()),
    }
}

fn read_session(root: &Field<'_>, operation: &Operation<'_>) -> Result<Session, ApiError> {
    let success_url = read_url(&root.get("success_url"))?.ok_or_else(|| root.get("success_url").missing())?;
    let intent_data = root.get("payment_intent_data");
    let id = new_session_id();
    let method_types = root.get("payment_method_types").texts()?;
    Ok(Session {
        page_url: format!("{}/pay/c/{id}", operation.base_url),
        id,
        created: operation.now,
        expires_at: read_expiry(root, operation.now)?,
        status: SessionStatus::Open,
        is_paid: false,
        currency: String::new(),
        amount_total: 0,
        line_items: Vec::new(),
        client_reference_id: owned(root.get("client_reference_id").bounded_text(MAX_CLIENT_REFERENCE_CHARS)?),
        customer_email: read_email(&root.get("customer_email"))?,
        paid_by_email: None,
        metadata: root.get("metadata").metadata()?,
        intent_metadata: intent_data.get("metadata").metadata()?,
        intent_description: owned(intent_data.get("description").text()?),
        success_url,
        cancel_url: read_url(&root.get("cancel_url"))?,
        payment_intent: None,
        method: MethodKind::Card,
        method_types: if method_types.is_empty() {
            vec!["card".to_owned()]
        } else {
            method_types.into_iter().map(str::to_owned).collect()
        },
        locale: owned(root.get("locale").text()?),
        submit_type: owned(root.get("submit_type").one_of(&["auto", "book", "donate", "pay", "subscribe"])?),
        billing_address_collection: owned(root.get("billing_address_collection").one_of(&["auto", "required"])?),
    })
}

fn owned(text: Option<&str>) -> Option<String> {
    text.map(str::to_owned)
}

fn read_expiry(root: &Field<'_>, now: i64) -> Result<i64, ApiError> {
    let field = root.get("expires_at");
    let Some(expires_at) = field.integer()? else { return Ok(now + DEFAULT_LIFETIME_SECONDS) };
    let problem = if expires_at < now + LEAST_LIFETIME_SECONDS {
        "The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation."
    } else if expires_at > now + DEFAULT_LIFETIME_SECONDS {
        "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation."
    } else {
        return Ok(expires_at);
    };
    Err(ApiError::invalid(problem).param(field.name()))
}

fn read_url(field: &Field<'_>) -> Result<Option<String>, ApiError> {
    let Some(text) = field.bounded_text(5_000)? else { return Ok(None) };
    let is_web = url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if is_web {
        return Ok(Some(text.to_owned()));
    }
    Err(ApiError::invalid("Not a valid URL").code("url_invalid").param(field.name()))
}

fn read_email(field: &Field<'_>) -> Result<Option<String>, ApiError> {
    let Some(text) = field.bounded_text(800)? else { return Ok(None) };
    let is_email = text.split_once('@').is_some_and(|(local, host)| !local.is_empty() && host.contains('.'))
        && !text.contains(char::is_whitespace);
    if is_email {
        return Ok(Some(text.to_owned()));
    }
    Err(ApiError::invalid(format!("Invalid email address: {text}")).code("email_invalid").param(field.name()))
}

fn read_line_items(root: &Field<'_>, operation: &Operation<'_>) -> Result<Vec<LineItem>, ApiError> {
    let field = root.get("line_items");
    let entries = field.list()?;
    if entries.is_empty() {
        return Err(field.missing());
    }
    if entries.len() > MAX_LINE_ITEMS {
        return Err(ApiError::invalid(format!("You can have at most {MAX_LINE_ITEMS} line items.")).param(field.name()));
    }
    entries.iter().map(|entry| read_line_item(entry, operation)).collect()
}

fn read_line_item(entry: &Field<'_>, operation: &Operation<'_>) -> Result<LineItem, ApiError> {
    let quantity = entry.get("quantity").positive_integer()?.ok_or_else(|| entry.get("quantity").missing())?;
    let price_field = entry.get("price");
    let (price, product) = if let Some(id) = price_field.text()? {
        let price = operation.account.prices.get(id).cloned();
        let price = price.ok_or_else(|| ApiError::missing_resource("price", id, &price_field.name()))?;
        let product = find_product(operation, &price.product, &price_field)?;
        (price, product)
    } else if entry.get("price_data").is_present() {
        read_price_data(&entry.get("price_data"), operation)?
    } else {
        return Err(price_field.missing());
    };
    Ok(LineItem { id: new_id("li"), quantity, price, product })
}

fn find_product(operation: &Operation<'_>, id: &str, field: &Field<'_>) -> Result<Product, ApiError> {
    let product = operation.account.products.get(id).cloned();
    product.ok_or_else(|| ApiError::missing_resource("product", id, &field.name()))
}

fn read_price_data(data: &Field<'_>, operation: &Operation<'_>) -> Result<(Price, Product), ApiError> {
    let currency_field = data.get("currency");
    let currency = parse_currency(currency_field.required_text()?, &currency_field.name())?;
    let amount_field = data.get("unit_amount");
    let unit_amount = amount_field.non_negative_integer()?.ok_or_else(|| amount_field.missing())?;
    let product = if let Some(id) = data.get("product").text()? {
        find_product(operation, id, &data.get("product"))?
    } else {
        read_product_data(&data.get("product_data"), operation.now)?
    };
    let price = Price {
        id: new_id("price"),
        created: operation.now,
        active: false,
        currency,
        unit_amount,
        product: product.id.clone(),
        metadata: Metadata::new(),
    };
    Ok((price, product))
}

fn read_product_data(data: &Field<'_>, now: i64) -> Result<Product, ApiError> {
    let images = data.get("images");
    if images.list()?.len() > 8 {
        return Err(ApiError::invalid("A product can have at most 8 images.").param(images.name()));
    }
    Ok(Product {
        id: new_id("prod"),
        created: now,
        active: false,
        name: data.get("name").required_text()?.to_owned(),
        description: owned(data.get("description").text()?),
        images: images.texts()?.into_iter().map(str::to_owned).collect(),
        metadata: data.get("metadata").metadata()?,
    })
}

/// One currency for all lines, and a sum that can be charged.
fn price_session(session: &mut Session) -> Result<(), ApiError> {
    let Some(first) = session.line_items.first() else { return Ok(()) };
    let currency = first.price.currency.clone();
    if session.line_items.iter().any(|item| item.price.currency != currency) {
        return Err(ApiError::invalid("All line items must have the same currency.").param("line_items"));
    }
    let total = session.line_items.iter().fold(0_i64, |sum, item| sum.saturating_add(item.total_minor()));
    check_chargeable(total, &currency, "line_items")?;
    session.currency = currency;
    session.amount_total = total;
    Ok(())
}

pub(crate) fn retrieve(operation: &mut Operation<'_>, call: &Call<'_>, id: &str) -> Answer {
    refuse_unknown(call.params, &["expand.#"])?;
    shown(operation, call, id)
}

fn shown(operation: &Operation<'_>, call: &Call<'_>, id: &str) -> Answer {
    let object = operation.account.session(id, "session")?.to_json(call.version);
    expanded(operation.account, call.version, object, &Field::root(call.params))
}

pub(crate) fn update(operation: &mut Operation<'_>, call: &Call<'_>, id: &str) -> Answer {
    refuse_unknown(call.params, &["expand.#", "metadata.*"])?;
    let mut metadata = operation.account.session(id, "session")?.metadata.clone();
    Field::root(call.params).get("metadata").change_metadata(&mut metadata)?;
    if let Some(session) = operation.account.sessions.get_mut(id) {
        session.metadata = metadata;
    }
    shown(operation, call, id)
}

pub(crate) fn expire(operation: &mut Operation<'_>, call: &Call<'_>, id: &str) -> Answer {
    refuse_unknown(call.params, &["expand.#"])?;
    operation.expire_session(id)?;
    shown(operation, call, id)
}

pub(crate) fn list(operation: &mut Operation<'_>, call: &Call<'_>) -> Answer {
    let known: Vec<&str> = LIST_PARAMS
        .into_iter()
        .chain(CREATED_PARAMS)
        .chain(["payment_intent", "status", "customer", "customer_details.email", "payment_link", "subscription"])
        .collect();
    refuse_unknown(call.params, &known)?;
    let root = Field::root(call.params);
    let page = Page::parse(&root)?;
    let intent = root.get("payment_intent").text()?;
    let status = root.get("status").one_of(&["open", "complete", "expired"])?;
    let email = root.get("customer_details").get("email").text()?;
    let belongs_elsewhere = ["customer", "payment_link", "subscription"].iter().any(|name| root.get(name).is_present());
    let (sessions, has_more) = page.cut(&operation.account.sessions, "checkout.session", |session| {
        !belongs_elsewhere
            && intent.is_none_or(|intent| session.shown_intent() == Some(intent))
            && status.is_none_or(|status| session.status.as_str() == status)
            && email.is_none_or(|email| session.email() == Some(email))
    })?;
    let data = sessions.into_iter().map(|session| session.to_json(call.version)).collect();
    answer(operation.account, call, "/v1/checkout/sessions", data, has_more)
}

pub(crate) fn line_items(operation: &mut Operation<'_>, call: &Call<'_>, id: &str) -> Answer {
    refuse_unknown(call.params, &LIST_PARAMS[..4])?;
    let root = Field::root(call.params);
    let limit = root.get("limit").positive_integer()?.unwrap_or(10).min(100);
    let session = operation.account.session(id, "session")?;
    let start = match root.get("starting_after").text()? {
        None => 0,
        Some(cursor) => {
            let position = session.line_items.iter().position(|item| item.id == cursor);
            position.ok_or_else(|| ApiError::missing_resource("line item", cursor, "starting_after"))? + 1
        }
    };
    let rest = &session.line_items[start..];
    let taken = rest.len().min(usize::try_from(limit).unwrap_or(10));
    let data = rest[..taken].iter().map(LineItem::to_json).collect();
    let list = list_json(&format!("/v1/checkout/sessions/{id}/line_items"), data, taken < rest.len());
    expanded(operation.account, call.version, list, &root)
}
