//! `GET /metrics`: what the shop counts, as Prometheus reads it.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;

use actix_web::dev::Server;
use actix_web::http::header::{self, HeaderName};
use actix_web::web::{Data, ServiceConfig};
use actix_web::{App, HttpServer, Responder};

use crate::access::Who;
use crate::openapi::{Operation, Tag};
use crate::resource::{Routes, resource};

/// Prometheus' text format.
const TEXT: (HeaderName, &str) = (header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8");

/// What was counted, in Prometheus' text format.
pub trait MetricsPage: Send + Sync {
    /// The page as it is now.
    fn render(&self) -> String;
}

/// Mounts the route beside the others.
pub fn configure(page: Arc<dyn MetricsPage>, config: &mut ServiceConfig) {
    routes(config.app_data(Data::from(page)));
}

/// The route.
pub(crate) fn routes(routes: &mut impl Routes) {
    routes.service(
        resource("/metrics").get(
            Who::Anyone,
            show,
            Operation::new(Tag::Running, "showMetrics", "What the shop counts")
                .explained("In production only at an address of its own, if one is configured.")
                .answers_text("text/plain", "Prometheus' text format."),
        ),
    );
}

/// Serves the route alone, at an address that only the operator's network reaches.
pub fn serve_alone(listener: TcpListener, page: Arc<dyn MetricsPage>) -> io::Result<Server> {
    let server = HttpServer::new(move || {
        let page = Arc::clone(&page);
        App::new().configure(|config| configure(page, config))
    });
    Ok(server.workers(1).disable_signals().listen(listener)?.run())
}

async fn show(page: Data<dyn MetricsPage>) -> impl Responder {
    page.render().customize().insert_header(TEXT)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use actix_web::test::{TestRequest, call_service, init_service, read_body};

    use super::*;

    struct One;

    impl MetricsPage for One {
        fn render(&self) -> String {
            "orders_total 1\n".to_owned()
        }
    }

    #[actix_web::test]
    async fn the_page_is_prometheus_text_and_alone_at_its_address() {
        let service = init_service(App::new().configure(|config| configure(Arc::new(One), config))).await;
        let page = call_service(&service, TestRequest::get().uri("/metrics").to_request()).await;
        assert_eq!(page.status(), 200);
        assert_eq!(page.headers().get(header::CONTENT_TYPE).unwrap(), TEXT.1);
        assert_eq!(read_body(page).await, "orders_total 1\n");
        for elsewhere in ["/", "/metrics/1", "/api/v1/products"] {
            let answer = call_service(&service, TestRequest::get().uri(elsewhere).to_request()).await;
            assert_eq!(answer.status(), 404, "{elsewhere}");
        }
    }
}
