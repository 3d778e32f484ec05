//! The routes of the contract, a file per resource.

pub mod admin_events;
pub mod admin_orders;
pub mod admin_users;
pub mod auth;
pub mod cart;
pub mod checkout_pages;
mod docs;
pub mod health;
pub mod metrics;
pub mod orders;
pub mod products;
pub mod stripe_webhook;
pub mod users;

use std::sync::Arc;

use actix_web::web::{Data, ServiceConfig};
use domain::account::AccountService;
use domain::cart::CartService;
use domain::catalog::CatalogService;
use domain::idempotency::IdempotencyRepository;
use domain::order::OrderService;
use domain::payment::EventReader;

use self::metrics::MetricsPage;
use self::products::ProductCache;
use crate::resource::Routes;

/// The use cases that the routes call.
#[derive(Clone)]
pub struct Services {
    /// Accounts.
    pub accounts: AccountService,
    /// The catalogue.
    pub catalog: CatalogService,
    /// What is kept of the catalogue, which must be told of its changes.
    pub products: Arc<ProductCache>,
    /// Carts.
    pub cart: CartService,
    /// Orders.
    pub orders: OrderService,
    /// The answers to requests with an idempotency key.
    pub keys: Arc<dyn IdempotencyRepository>,
    /// What was counted, if it is shown beside the rest.
    pub metrics: Option<Arc<dyn MetricsPage>>,
    /// Verifies the provider's events.
    pub events: Arc<dyn EventReader>,
}

impl Services {
    /// Mounts what lies outside `/api/v1`, and what brings limits of its own.
    pub fn mount_open(&self, config: &mut ServiceConfig) {
        config.app_data(Data::new(self.orders.clone())).app_data(Data::from(Arc::clone(&self.events))).configure(open);
        if let Some(page) = &self.metrics {
            metrics::configure(Arc::clone(page), config);
        }
    }

    /// Mounts what lies under `/api/v1`.
    pub fn mount_api(&self, config: &mut ServiceConfig) {
        config
            .app_data(Data::new(self.accounts.clone()))
            .app_data(Data::new(self.catalog.clone()))
            .app_data(Data::from(Arc::clone(&self.products)))
            .app_data(Data::new(self.cart.clone()))
            .app_data(Data::new(self.orders.clone()))
            .app_data(Data::from(Arc::clone(&self.keys)))
            .configure(api);
    }
}

/// Routes that need no use case.
pub(crate) fn outside(routes: &mut impl Routes) {
    health::configure(routes);
    docs::configure(routes);
}

/// Routes outside `/api/v1`, and those that bring limits of their own: each route file adds itself here.
pub(crate) fn open(routes: &mut impl Routes) {
    stripe_webhook::configure(routes);
    checkout_pages::configure(routes);
}

/// Routes under `/api/v1`: each route file adds itself here.
pub(crate) fn api(routes: &mut impl Routes) {
    auth::configure(routes);
    users::configure(routes);
    admin_users::configure(routes);
    products::configure(routes);
    cart::configure(routes);
    orders::configure(routes);
    admin_orders::configure(routes);
    admin_events::configure(routes);
}
