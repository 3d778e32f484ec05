//! `/products`: browsing, keeping the catalogue, and the stock ledger.

mod bodies;
mod problems;
mod requests;
mod tags;
#[cfg(test)]
mod tests;

use actix_web::http::header;
use actix_web::web::{Data, Json, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use domain::account::Role;
use domain::catalog::{CatalogService, NewProduct, ProductChanges};
use domain::id::ProductId;

use self::bodies::{MovementBody, ProductBody};
use self::requests::{Adjustment, MovementQuery, OrderCursor, ProductQuery};
use self::tags::{Rendered, if_match, is_current, render};
use crate::access::{Caller, Who};
use crate::body::Body;
use crate::path::PathId;
use crate::problem::Problem;
use crate::query::Query;
use crate::resource::resource;
use crate::wire::ListBody;
use crate::writes::Writes;

/// Mounts the routes.
pub fn configure(config: &mut ServiceConfig) {
    config
        .service(resource("/products").get(Who::Anyone, list).post(Who::Admin, create))
        .service(
            resource("/products/{id}")
                .get(Who::AnyoneRecognised, find)
                .patch(Who::Admin, edit)
                .delete(Who::Admin, archive),
        )
        .service(resource("/products/{id}/stock-adjustments").post(Who::Admin, adjust_stock))
        .service(resource("/products/{id}/stock-movements").get(Who::Admin, movements));
}

async fn list(
    catalog: Data<CatalogService>,
    Query(query): Query<ProductQuery>,
) -> Result<Json<ListBody<ProductBody>>, Problem> {
    let page = catalog.list(&query.filter, &query.order, query.limit).await?;
    Ok(Json(ListBody::new(page, |product| ProductBody::from(&product), OrderCursor::from)))
}

async fn find(
    PathId(id): PathId<ProductId>,
    caller: Option<Caller>,
    catalog: Data<CatalogService>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let is_admin = caller.is_some_and(|Caller(actor)| actor.role == Role::Admin);
    let product = catalog.find(id, is_admin).await?.ok_or_else(problems::no_such_product)?;
    let rendered = render(&product)?;
    let mut response = if is_current(request.headers(), &rendered.tag) {
        HttpResponse::NotModified().insert_header(rendered.etag()).finish()
    } else {
        show(HttpResponse::Ok(), rendered)
    };
    if !product.is_live() {
        // Only admins may see it, so nobody in between may keep it.
        response.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    }
    Ok(response)
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
    Ok(show(answer, render(&created)?))
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
    Ok(show(HttpResponse::Ok(), render(&edited)?))
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
