//! What a handler's arguments say of the requests that it takes.

use actix_web::HttpRequest;
use actix_web::web::Data;
use serde_json::Value;

use crate::access::Caller;
use crate::body::{Body, RawBody};
use crate::fields::{Fields, Request};
use crate::limits::{Attempted, FromClient};
use crate::once::Claimed;
use crate::openapi::FieldDescription;
use crate::path::PathId;
use crate::query::Query;

/// What a handler takes.
#[derive(Debug, Default)]
pub struct RequestDescription {
    pub(super) has_path_id: bool,
    pub(super) query: Option<Vec<FieldDescription>>,
    pub(super) body: Option<BodyDescription>,
    pub(super) is_raw: bool,
    pub(super) is_keyed: bool,
}

/// The body that a handler reads.
#[derive(Debug)]
pub(super) struct BodyDescription {
    pub(super) fields: Vec<FieldDescription>,
    pub(super) refine: fn(Value) -> Value,
}

/// One argument of a handler.
pub trait Argument {
    /// Adds what it takes from a request; some take nothing that a client sends.
    fn describe(_request: &mut RequestDescription) {}
}

/// All arguments of a handler.
pub trait Arguments {
    /// Adds what they take.
    fn describe(request: &mut RequestDescription);
}

impl Argument for Caller {}
impl Argument for Option<Caller> {}
impl Argument for FromClient {}
impl Argument for Attempted {}
impl Argument for HttpRequest {}
impl<T: ?Sized> Argument for Data<T> {}

impl<I> Argument for PathId<I> {
    fn describe(request: &mut RequestDescription) {
        request.has_path_id = true;
    }
}

impl<T: Request> Argument for Query<T> {
    fn describe(request: &mut RequestDescription) {
        request.query = Some(Fields::description::<T>());
    }
}

impl<T: Request> Argument for Body<T> {
    fn describe(request: &mut RequestDescription) {
        request.body = Some(BodyDescription { fields: Fields::description::<T>(), refine: T::refine });
    }
}

impl Argument for RawBody {
    fn describe(request: &mut RequestDescription) {
        request.is_raw = true;
    }
}

impl Argument for Claimed {
    fn describe(request: &mut RequestDescription) {
        request.is_keyed = true;
    }
}

macro_rules! tuples {
    ($($($name:ident)*;)+) => {$(
        impl<$($name: Argument),*> Arguments for ($($name,)*) {
            fn describe(_request: &mut RequestDescription) {
                $($name::describe(_request);)*
            }
        }
    )+};
}

tuples! {
    ;
    A;
    A B;
    A B C;
    A B C D;
    A B C D E;
    A B C D E F;
    A B C D E F G;
}
