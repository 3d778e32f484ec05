//! Ids in paths.

use std::future::{Ready, ready};
use std::str::FromStr;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use domain::id::InvalidId;

use crate::problem::{Code, Problem};

/// The one id in a route's path; 400 if it is no UUID.
#[derive(Debug, Clone, Copy)]
pub struct PathId<I>(pub I);

impl<I: FromStr<Err = InvalidId>> FromRequest for PathId<I> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let Some((_, text)) = request.match_info().iter().next() else {
            return ready(Err(Problem::internal("the route has no id in its path")));
        };
        let malformed = |_| Problem::new(Code::MalformedRequest).detail("The id in the path is not a UUID.");
        ready(text.parse().map(Self).map_err(malformed))
    }
}
