//! Placing an order: the cart becomes an order and its stock is taken, in one decision (contract 3.1 and 3.2).

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;

use crate::clock::Timestamp;
use crate::fraud::{CustomerStanding, FraudRefusal};
use crate::id::{AttemptId, OrderId, ProductId, UserId};
use crate::idempotency::{Claim, ClaimLost};
use crate::money::{Money, MoneyError, Price};
use crate::order::{
    HistoryEntry, Order, OrderLine, OrderPolicy, OrderService, OrderState, OrderStatus, Party, ProviderNews,
};
use crate::payment::{
    Attempt, AttemptState, CheckoutLine, CheckoutRequest, OpenSessionError, PaymentStatus, SessionLifetime,
};
use crate::quantity::Quantity;
use crate::store::StoreError;
use crate::text::ShippingAddress;

/// The customer's wish, with its ids minted and its time taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceOrder {
    /// The order's id to be.
    pub id: OrderId,
    /// Who orders.
    pub customer_id: UserId,
    /// Where it goes.
    pub shipping_address: ShippingAddress,
    /// The first attempt to be paid; `None` to make no session yet.
    pub pay_now: Option<AttemptId>,
    /// The total in minor units that the customer saw, if they said.
    pub expected_total_minor: Option<i64>,
    /// When.
    pub at: Timestamp,
    /// The shop's rules.
    pub policy: OrderPolicy,
    /// The claim of its idempotency key, if it has one.
    pub claim: Option<Claim>,
}

/// What the decision looks at, loaded under lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceSnapshot {
    /// Where the customer stands with the fraud rules.
    pub standing: CustomerStanding,
    /// Whom the provider may write to.
    pub customer_email: String,
    /// When the customer registered.
    pub customer_since: Timestamp,
    /// Units of the cart's products in the customer's orders of the last 24 hours that stand; looked up only if a
    /// fraud rule asks for it ([`FraudLimits::max_units_per_product`](crate::fraud::FraudLimits)).
    pub recent_units: BTreeMap<ProductId, u64>,
    /// The cart's lines with their products, as they are now.
    pub cart: Vec<CartProduct>,
}

/// A cart's line and its product, under lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CartProduct {
    /// Which product.
    pub product_id: ProductId,
    /// Its name now.
    pub name: String,
    /// Its price now.
    pub price: Price,
    /// What is on hand for sale.
    pub stock: u64,
    /// Whether it was archived since the cart was last read.
    pub archived: bool,
    /// How many units the customer wants.
    pub quantity: Quantity,
}

/// Why no order came of it. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum PlaceOrderError {
    /// There is nothing in the cart: perhaps another request ordered it just now.
    #[error("the cart is empty; put something into it first")]
    CartEmpty,
    /// A fraud rule refuses.
    #[error(transparent)]
    Refused(#[from] FraudRefusal),
    /// A product of the cart was archived.
    #[error("a product in the cart is no longer sold; read the cart again")]
    ProductUnavailable {
        /// Which.
        product_id: ProductId,
    },
    /// Prices moved since the customer looked.
    #[error("the total is {total} now; read the cart again and confirm it")]
    TotalChanged {
        /// What it would cost now.
        total: Money,
    },
    /// The provider takes no payment of this size.
    #[error("an order's total must be from {min} to {max}; this one is {total}")]
    TotalNotPayable {
        /// What it would cost.
        total: Money,
        /// The least total.
        min: Money,
        /// The greatest total.
        max: Money,
    },
    /// Less is in stock than is wanted.
    #[error("only {available} of the {requested} units wanted are in stock")]
    InsufficientStock {
        /// Of which product.
        product_id: ProductId,
        /// What is in stock.
        available: u64,
        /// What is wanted.
        requested: u64,
    },
    /// Another request with the same key runs now.
    #[error(transparent)]
    ClaimLost(#[from] ClaimLost),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl PlaceOrder {
    /// Decides, on what was loaded under lock.
    pub fn decide(&self, snapshot: &PlaceSnapshot) -> Result<Order, PlaceOrderError> {
        if snapshot.cart.is_empty() {
            return Err(PlaceOrderError::CartEmpty);
        }
        self.policy.fraud.may_place(&snapshot.standing)?;
        if let Some(gone) = snapshot.cart.iter().find(|line| line.archived) {
            return Err(PlaceOrderError::ProductUnavailable { product_id: gone.product_id });
        }
        let lines: Vec<OrderLine> = snapshot.cart.iter().map(CartProduct::order_line).collect();
        let total = self.payable_total(&lines)?;
        self.may_order(snapshot, total)?;
        if let Some(short) = snapshot.cart.iter().find(|line| line.stock < u64::from(line.quantity.get())) {
            return Err(PlaceOrderError::InsufficientStock {
                product_id: short.product_id,
                available: short.stock,
                requested: short.quantity.get().into(),
            });
        }
        let mut order = self.pending_order(lines, total);
        if let Some(attempt_id) = self.pay_now {
            order.attempts.push(order.new_attempt(attempt_id, &snapshot.customer_email, self.at, &self.policy));
        }
        Ok(order)
    }

    /// The fraud rules that look at what is ordered.
    fn may_order(&self, snapshot: &PlaceSnapshot, total: Money) -> Result<(), FraudRefusal> {
        let fraud = &self.policy.fraud;
        for line in &snapshot.cart {
            let recent = snapshot.recent_units.get(&line.product_id).copied().unwrap_or(0);
            fraud.may_order_units(recent, line.quantity.get().into())?;
        }
        fraud.may_spend((self.at - snapshot.customer_since).num_seconds(), total)
    }

    fn payable_total(&self, lines: &[OrderLine]) -> Result<Money, PlaceOrderError> {
        let OrderPolicy { min_total, max_total, .. } = self.policy;
        let not_payable = |total| PlaceOrderError::TotalNotPayable { total, min: min_total, max: max_total };
        let total =
            sum(lines, min_total).map_err(|_| not_payable(Money::from_minor(i64::MAX, min_total.currency())))?;
        if self.expected_total_minor.is_some_and(|expected| expected != total.amount_minor()) {
            return Err(PlaceOrderError::TotalChanged { total });
        }
        if (min_total.amount_minor()..=max_total.amount_minor()).contains(&total.amount_minor()) {
            Ok(total)
        } else {
            Err(not_payable(total))
        }
    }

    fn pending_order(&self, lines: Vec<OrderLine>, total: Money) -> Order {
        let placed = HistoryEntry {
            from: None,
            to: OrderStatus::Pending,
            at: self.at,
            by: Party::Customer,
            actor_id: Some(self.customer_id),
            reason: None,
        };
        Order {
            id: self.id,
            customer_id: self.customer_id,
            lines,
            total,
            shipping_address: self.shipping_address.clone(),
            state: OrderState::Pending,
            flags: BTreeSet::new(),
            payment: PaymentStatus::Pending,
            attempts: Vec::new(),
            receipts: Vec::new(),
            history: vec![placed],
            created_at: self.at,
            expires_at: self.at + TimeDelta::seconds(i64::from(self.policy.payment_window_seconds)),
        }
    }
}

fn sum(lines: &[OrderLine], like: Money) -> Result<Money, MoneyError> {
    lines.iter().try_fold(Money::zero(like.currency()), |sum, line| sum.checked_add(line.total()?))
}

impl CartProduct {
    fn order_line(&self) -> OrderLine {
        OrderLine {
            product_id: self.product_id,
            name: self.name.clone(),
            unit_price: self.price.money(),
            quantity: self.quantity,
        }
    }
}

impl PlaceOrder {
    /// Counts what came of it; a fraud rule's refusal is logged, too.
    fn report(&self, placed: Result<&Order, &PlaceOrderError>) {
        let outcome = placed.map_or_else(PlaceOrderError::outcome, |_| "placed");
        metrics::counter!("ironcart_checkouts_total", "outcome" => outcome).increment(1);
        if let Err(PlaceOrderError::Refused(refusal)) = placed {
            refusal.report(self.customer_id);
        }
    }
}

impl PlaceOrderError {
    /// The word for the metric; a fraud rule's is its name.
    const fn outcome(&self) -> &'static str {
        match self {
            Self::CartEmpty => "cart_empty",
            Self::Refused(refusal) => refusal.rule(),
            Self::ProductUnavailable { .. } => "product_unavailable",
            Self::TotalChanged { .. } => "total_changed",
            Self::TotalNotPayable { .. } => "total_not_payable",
            Self::InsufficientStock { .. } => "insufficient_stock",
            Self::ClaimLost(_) => "claim_lost",
            Self::Store(_) => "store_failed",
        }
    }
}

impl Order {
    /// A further attempt to be paid, with all the parameters that the provider will be sent.
    pub(crate) fn new_attempt(&self, id: AttemptId, email: &str, now: Timestamp, policy: &OrderPolicy) -> Attempt {
        let page = |name: &str| format!("{}/checkout/{name}?orderId={}", policy.public_url, self.id);
        let line = |line: &OrderLine| CheckoutLine {
            name: line.name.clone(),
            unit_price: line.unit_price,
            quantity: line.quantity,
        };
        let request = CheckoutRequest {
            attempt_id: id,
            order_id: self.id,
            customer_email: email.to_owned(),
            lines: self.lines.iter().map(line).collect(),
            expires_at: SessionLifetime::end(now, self.expires_at),
            success_url: page("success"),
            cancel_url: page("cancel"),
        };
        Attempt { id, request: Some(request), state: AttemptState::Requested, created_at: now }
    }
}

impl OrderService {
    /// Places an order, and opens its session when the order is committed. The order stands whether or not the
    /// provider answers: without an answer it has no checkout address yet (contract 3.1). If an earlier request with
    /// the same idempotency key has committed the order, nothing is decided anew: that order is the answer, and only
    /// its session is made if it is missing.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn place(&self, command: &PlaceOrder) -> Result<Order, PlaceOrderError> {
        let committed = match command.claim.as_ref().and_then(|claim| claim.committed) {
            Some(order_id) => self.orders.find(order_id).await?,
            None => None,
        };
        let order = if let Some(order) = committed {
            order
        } else {
            let placed = self.orders.place(command).await;
            command.report(placed.as_ref());
            placed?
        };
        self.open_first_session(order).await
    }

    /// Asks for the session that was decided on and not heard of yet.
    async fn open_first_session(&self, order: Order) -> Result<Order, PlaceOrderError> {
        let missing = order.live_attempt().filter(|attempt| attempt.state == AttemptState::Requested);
        let missing = missing.filter(|_| order.status() == OrderStatus::Pending);
        let Some(request) = missing.and_then(|attempt| attempt.request.clone()) else {
            return Ok(order);
        };
        let news = match self.gateway.open_session(&request).await {
            Ok(found) => ProviderNews::Session {
                session_id: found.id,
                attempt_id: Some(request.attempt_id),
                standing: found.standing,
            },
            Err(OpenSessionError::Refused { reason }) => {
                tracing::error!(order.id = %order.id, reason, "the provider refuses a checkout session");
                ProviderNews::SessionRefused(request.attempt_id)
            }
            Err(OpenSessionError::Unavailable(unavailable)) => {
                tracing::warn!(order.id = %order.id, %unavailable, "the order has no checkout session yet");
                return Ok(order);
            }
        };
        match self.hear(order.id, &news).await {
            Ok(Some(heard)) => Ok(heard),
            Ok(None) => Ok(order),
            Err(error) => {
                // The order is committed and is the answer; its session is found again under the attempt's key.
                tracing::warn!(order.id = %order.id, %error, "the checkout session could not be kept");
                Ok(order)
            }
        }
    }
}
