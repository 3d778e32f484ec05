//! `/products`: browsing, keeping the catalogue, and the stock ledger.

mod bodies;
mod cache;
mod described;
mod problems;
mod requests;
mod tags;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{Data, Json};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use domain::account::Role;
use domain::catalog::{CatalogService, NewProduct, Product, ProductChanges};
use domain::id::ProductId;
use domain::store::StoreError;

use self::bodies::{MovementBody, ProductBody};
pub use self::cache::ProductCache;
use self::cache::{Written, WrittenTag};
use self::requests::{Adjustment, MovementQuery, OrderCursor, ProductQuery};
use self::tags::{Rendered, if_match, is_current, render};
use crate::access::{Caller, Who};
use crate::body::Body;
use crate::path::PathId;
use crate::problem::Problem;
use crate::query::Query;
use crate::resource::{Routes, resource};
use crate::wire::ListBody;
use crate::writes::Writes;

/// Mounts the routes.
pub fn configure(routes: &mut impl Routes) {
    routes
        .service(resource("/products").get(Who::AnyoneRecognised, list, described::list()).post(
            Who::Admin,
            create,
            described::create(),
        ))
        .service(
            resource("/products/{id}")
                .get(Who::AnyoneRecognised, find, described::find())
                .patch(Who::Admin, edit, described::edit())
                .delete(Who::Admin, archive, described::archive()),
        )
        .service(resource("/products/{id}/stock-adjustments").post(Who::Admin, adjust_stock, described::adjust_stock()))
        .service(resource("/products/{id}/stock-movements").get(Who::Admin, movements, described::movements()));
}

async fn list(
    caller: Option<Caller>,
    catalog: Data<CatalogService>,
    cache: Data<ProductCache>,
    Query(query): Query<ProductQuery>,
) -> Result<HttpResponse, Problem> {
    let ask = || write_list(&catalog, &query);
    let written = if is_admin(caller) { ask().await?.map(Arc::new) } else { cache.list(&query, ask).await? };
    let written = written.ok_or_else(|| Problem::internal("a list is always there"))?;
    Ok(HttpResponse::Ok().insert_header(JSON).body(written.body.clone()))
}

async fn write_list(catalog: &CatalogService, query: &ProductQuery) -> Result<Option<Written>, StoreError> {
    let page = catalog.list(&query.filter, &query.order, query.limit).await?;
    let shown = page.items.iter().map(|product| product.id).collect();
    let body = ListBody::new(page, |product| ProductBody::from(&product), OrderCursor::from);
    let body = serde_json::to_vec(&body).map_err(StoreError::unexpected)?;
    Ok(Some(Written::new(body, None, shown)))
}

async fn find(
    PathId(id): PathId<ProductId>,
    caller: Option<Caller>,
    catalog: Data<CatalogService>,
    cache: Data<ProductCache>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    if is_admin(caller) {
        return find_for_admin(id, &catalog, &request).await;
    }
    let ask = async || catalog.find(id, false).await?.map(|product| write(&product)).transpose();
    let written = cache.product(id, ask).await?.ok_or_else(problems::no_such_product)?;
    Ok(answer(&written, &request))
}

/// What only admins may see nobody in between may keep.
async fn find_for_admin(
    id: ProductId,
    catalog: &CatalogService,
    request: &HttpRequest,
) -> Result<HttpResponse, Problem> {
    let product = catalog.find(id, true).await?.ok_or_else(problems::no_such_product)?;
    let mut response = answer(&write(&product)?, request);
    if !product.is_live() {
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    Ok(response)
}

/// A product as it is sent, and as it is kept.
fn write(product: &Product) -> Result<Written, StoreError> {
    let rendered = render(product).map_err(StoreError::unexpected)?;
    let header = HeaderValue::try_from(rendered.etag().1).map_err(StoreError::unexpected)?;
    let tag = WrittenTag { tag: rendered.tag, header };
    Ok(Written::new(rendered.body, Some(tag), vec![product.id]))
}

/// The product, or that the client has it already.
fn answer(written: &Written, request: &HttpRequest) -> HttpResponse {
    let is_known = |tag: &&WrittenTag| is_current(request.headers(), &tag.tag);
    let mut answer = match written.tag.as_ref().filter(is_known) {
        Some(_) => HttpResponse::NotModified().finish(),
        None => HttpResponse::Ok().insert_header(JSON).body(written.body.clone()),
    };
    if let Some(tag) = &written.tag {
        answer.headers_mut().insert(header::ETAG, tag.header.clone());
    }
    answer
}

const JSON: (header::HeaderName, HeaderValue) = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));

fn is_admin(caller: Option<Caller>) -> bool {
    caller.is_some_and(|Caller(actor)| actor.role == Role::Admin)
}

async fn create(
    Caller(actor): Caller,
    catalog: Data<CatalogService>,
    writes: Data<Writes>,
    Body(product): Body<NewProduct>,
) -> Result<HttpResponse, Problem> {
    let created = writes.run(async move { catalog.create(product, actor.user_id).await }).await?;
    let mut answer = HttpResponse::Created();
    answer.insert_header((header::LOCATION, format!("/api/v1/products/{}", created.id)));
    Ok(show(answer, render(&created).map_err(Problem::internal)?))
}

async fn edit(
    PathId(id): PathId<ProductId>,
    Caller(actor): Caller,
    catalog: Data<CatalogService>,
    writes: Data<Writes>,
    request: HttpRequest,
    Body(changes): Body<ProductChanges>,
) -> Result<HttpResponse, Problem> {
    let expected = if_match(request.headers());
    let edited = writes.run(async move { catalog.edit(id, changes, expected, actor.user_id).await }).await?;
    Ok(show(HttpResponse::Ok(), render(&edited).map_err(Problem::internal)?))
}

async fn archive(
    PathId(id): PathId<ProductId>,
    catalog: Data<CatalogService>,
    writes: Data<Writes>,
) -> Result<HttpResponse, Problem> {
    writes.run(async move { catalog.archive(id).await }).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn adjust_stock(
    PathId(id): PathId<ProductId>,
    Caller(actor): Caller,
    catalog: Data<CatalogService>,
    writes: Data<Writes>,
    Body(Adjustment { delta, reason }): Body<Adjustment>,
) -> Result<HttpResponse, Problem> {
    let movement = writes.run(async move { catalog.adjust_stock(id, delta, reason, actor.user_id).await }).await?;
    Ok(HttpResponse::Created().json(MovementBody::from(movement)))
}

async fn movements(
    PathId(id): PathId<ProductId>,
    catalog: Data<CatalogService>,
    Query(query): Query<MovementQuery>,
) -> Result<Json<ListBody<MovementBody>>, Problem> {
    let page = catalog.movements(id, query.after, query.limit).await?.ok_or_else(problems::no_such_product)?;
    Ok(Json(ListBody::new(page, MovementBody::from, |next| next.0)))
}

/// A product with its tag, byte for byte what the tag was made of.
fn show(mut answer: HttpResponseBuilder, rendered: Rendered) -> HttpResponse {
    answer.insert_header(rendered.etag()).insert_header(header::ContentType::json()).body(rendered.body)
}
