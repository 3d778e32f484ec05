//! Which problem each refusal of an order's use case is (contract 1, "code").

use domain::fraud::FraudRefusal;
use domain::order::{
    CancelOrderError, Flag, FulfilOrderError, InvalidTransition, PlaceOrderError, RefundOrderMoneyError,
    StartPaymentError,
};

use crate::problem::{Code, Problem};

/// When a further order may be worth a try: one that waits may be paid or cancelled at any time.
const PENDING_RETRY_SECONDS: u64 = 60;
/// When a limit over 24 hours may have moved.
const DAILY_RETRY_SECONDS: u64 = 3600;

/// A problem whose detail is the error's own sentence.
fn says(code: Code, error: &impl std::fmt::Display) -> Problem {
    let sentence = error.to_string();
    let mut letters = sentence.chars();
    let capital = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    Problem::new(code).detail(format!("{capital}{}.", letters.as_str()))
}

impl From<PlaceOrderError> for Problem {
    fn from(error: PlaceOrderError) -> Self {
        match error {
            PlaceOrderError::CartEmpty => says(Code::CartEmpty, &error),
            PlaceOrderError::Refused(refusal) => refusal.into(),
            PlaceOrderError::ProductUnavailable { product_id } => {
                says(Code::ProductUnavailable, &error).with("productId", product_id.to_string())
            }
            PlaceOrderError::TotalChanged { total } => {
                says(Code::TotalChanged, &error).with("total", total.to_string())
            }
            PlaceOrderError::TotalNotPayable { total, .. } => {
                says(Code::OrderTotalNotPayable, &error).with("total", total.to_string())
            }
            PlaceOrderError::InsufficientStock { product_id, available, requested } => {
                says(Code::InsufficientStock, &error)
                    .with("productId", product_id.to_string())
                    .with("available", available)
                    .with("requested", requested)
            }
            PlaceOrderError::ClaimLost(lost) => lost.into(),
            PlaceOrderError::Store(error) => error.into(),
        }
    }
}

impl From<FraudRefusal> for Problem {
    fn from(refusal: FraudRefusal) -> Self {
        let (code, retry_seconds) = match refusal {
            FraudRefusal::PendingOrders { .. } => (Code::PendingOrderLimit, PENDING_RETRY_SECONDS),
            FraudRefusal::DailyExpiries { .. } => (Code::PendingOrderLimit, DAILY_RETRY_SECONDS),
            FraudRefusal::DailyCancellations { .. } => (Code::DailyCancellationLimit, DAILY_RETRY_SECONDS),
            FraudRefusal::Units { .. } => (Code::UnitsLimit, DAILY_RETRY_SECONDS),
            FraudRefusal::AccountTooNew { wait_seconds, .. } => (Code::AccountTooNew, u64::from(wait_seconds)),
        };
        says(code, &refusal).retry_after(retry_seconds)
    }
}

impl From<StartPaymentError> for Problem {
    fn from(error: StartPaymentError) -> Self {
        match error {
            StartPaymentError::NotFound => says(Code::NotFound, &error),
            StartPaymentError::AlreadyPaid => says(Code::OrderAlreadyPaid, &error),
            StartPaymentError::NotPayable => says(Code::OrderNotPayable, &error),
            StartPaymentError::Provider => says(Code::PaymentProviderError, &error),
            StartPaymentError::ClaimLost(lost) => lost.into(),
            StartPaymentError::Store(error) => error.into(),
        }
    }
}

impl From<CancelOrderError> for Problem {
    fn from(error: CancelOrderError) -> Self {
        match error {
            CancelOrderError::NotFound => says(Code::NotFound, &error),
            CancelOrderError::AlreadyPaid => says(Code::OrderAlreadyPaid, &error),
            CancelOrderError::InvalidTransition(refused) => refused.into(),
            CancelOrderError::Refused(refusal) => refusal.into(),
            CancelOrderError::ClaimLost(lost) => lost.into(),
            CancelOrderError::Store(error) => error.into(),
        }
    }
}

impl From<FulfilOrderError> for Problem {
    fn from(error: FulfilOrderError) -> Self {
        match error {
            FulfilOrderError::NotFound => says(Code::NotFound, &error),
            FulfilOrderError::InvalidTransition(refused) => refused.into(),
            FulfilOrderError::Flagged { ref flags } => {
                let flags: Vec<_> = flags.iter().copied().map(Flag::as_str).collect();
                says(Code::OrderFlagged, &error).with("flags", flags)
            }
            FulfilOrderError::Store(error) => error.into(),
        }
    }
}

impl From<RefundOrderMoneyError> for Problem {
    fn from(error: RefundOrderMoneyError) -> Self {
        match error {
            RefundOrderMoneyError::NotFound => says(Code::NotFound, &error),
            RefundOrderMoneyError::NotRefundable => says(Code::OrderNotRefundable, &error),
            RefundOrderMoneyError::Store(error) => error.into(),
        }
    }
}

impl From<InvalidTransition> for Problem {
    fn from(refused: InvalidTransition) -> Self {
        says(Code::InvalidTransition, &refused).with("from", refused.from.as_str()).with("to", refused.to.as_str())
    }
}
