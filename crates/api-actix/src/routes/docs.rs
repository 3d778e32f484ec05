//! `GET /openapi.json` and `GET /docs`: what the API says of itself, for programs and for people.
//!
//! The page is Swagger UI, whose files are built into the binary, so it works without internet. Its own start page has
//! inline script; this one has none, so that the policy can forbid it (contract 1, "headers").

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use utoipa_swagger_ui::Config;

use crate::access::Who;
use crate::openapi::{Operation, Tag, document};
use crate::problem::{Code, Problem};
use crate::resource::{Routes, resource};

/// `data:` is for the icons in Swagger UI's style sheet.
const CONTENT_SECURITY_POLICY: (HeaderName, &str) = (
    header::CONTENT_SECURITY_POLICY,
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

const CACHE_CONTROL: (HeaderName, &str) = (header::CACHE_CONTROL, "public, max-age=3600");

/// Mounts the document and its page.
pub(crate) fn configure(routes: &mut impl Routes) {
    routes
        .service(resource("/openapi.json").get(
            Who::Anyone,
            show_document,
            Operation::new(Tag::Running, "getOpenApi", "This document").answers_object("OpenAPI 3.1."),
        ))
        .service(
            resource("/docs").get(
                Who::Anyone,
                show_page,
                Operation::new(Tag::Pages, "showDocs", "This document as a page to browse and to try")
                    .answers_text("text/html", "Swagger UI. It works without internet."),
            ),
        )
        .service(resource("/docs/").get(Who::Anyone, show_page, Operation::part_of_a_page()))
        .service(resource("/docs/{file}").get(Who::Anyone, show_file, Operation::part_of_a_page()));
}

async fn show_document() -> HttpResponse {
    static TEXT: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(document().to_string()));
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "application/json"))
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .body(TEXT.clone())
}

async fn show_page() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header(CONTENT_SECURITY_POLICY)
        .body(include_str!("docs/index.html"))
}

async fn show_file(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let (media_type, bytes) = match request.match_info().query("file") {
        "start.js" => ("text/javascript; charset=utf-8", Bytes::from_static(include_bytes!("docs/start.js"))),
        "page.css" => ("text/css; charset=utf-8", Bytes::from_static(include_bytes!("docs/page.css"))),
        name @ "swagger-ui-bundle.js" => ("text/javascript; charset=utf-8", vendored(name)?),
        name @ "swagger-ui.css" => ("text/css; charset=utf-8", vendored(name)?),
        name @ "favicon-32x32.png" => ("image/png", vendored(name)?),
        _ => return Err(Problem::new(Code::NotFound).detail("There is nothing at this address.")),
    };
    let content_type = (header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    Ok(HttpResponse::Ok().insert_header(content_type).insert_header(CACHE_CONTROL).body(bytes))
}

/// A file of Swagger UI's, as its makers ship it.
fn vendored(name: &str) -> Result<Bytes, Problem> {
    let config: Arc<Config<'static>> = Arc::new(Config::from("/openapi.json"));
    let file = utoipa_swagger_ui::serve(name, config).map_err(|error| Problem::internal(error.to_string()))?;
    let file = file.ok_or_else(|| Problem::internal(format!("Swagger UI has no {name}")))?;
    Ok(match file.bytes {
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        Cow::Owned(bytes) => Bytes::from(bytes),
    })
}
