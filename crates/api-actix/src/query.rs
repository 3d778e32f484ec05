//! Query strings, read field by field like bodies.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};

use crate::application::Shop;
use crate::fields::{Fields, Request};
use crate::problem::Problem;

/// The query string, read into domain types. Unknown parameters are ignored.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: Request> FromRequest for Query<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let read = || {
            let shop = Shop::of(request)?;
            T::read_all(Fields::of_query(request.query_string(), shop.currency)?)
        };
        ready(read().map(Self))
    }
}
