//! The real shop of the model tests: the use cases on PostgreSQL, beside the scripted provider and a clock that stands
//! until it is moved. All sequences of a process share one database, each with customers and products of its own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use adapters_postgres::{PgCarts, PgOrders, PgProducts, PgTasks};
use adapters_stripe::{Secret, StripeConfig, StripeWebhooks};
use app::system::SystemIds;
use chrono::DateTime;
use domain::account::Role;
use domain::cart::{AddCartItemError, Cart, CartService, RemoveCartItemError, SetCartItemError};
use domain::catalog::{
    AdjustStockError, ArchiveProductError, CatalogService, EditProductError, InsufficientStock, NewProduct,
    ProductChanges, Stock, StockDelta,
};
use domain::clock::{Clock, Timestamp};
use domain::fraud::{FraudLimits, FraudRefusal};
use domain::id::{AttemptId, OrderId, ProductId, UserId};
use domain::money::{Currency, Money, Price};
use domain::order::{
    CancelOrder, CancelOrderError, ErrandSignal, EventOutcome, FulfilOrder, FulfilOrderError, FulfilmentStep, Order,
    OrderFilter, OrderPolicy, OrderService, PlaceOrder, PlaceOrderError, RefundOrderMoney, RefundOrderMoneyError,
    StartPayment, StartPaymentError,
};
use domain::page::PageLimit;
use domain::payment::{AttemptState, EventReader, PaymentGateway, ReceiptKind};
use domain::quantity::Quantity;
use domain::store::StoreError;
use domain::text::{AdjustmentReason, ProductName, ShippingAddress};
use futures_util::future::join_all;
use ironcart_tests::database::{Database, new_uuid};
use ironcart_tests::shop::WEBHOOK_SECRET;
use ironcart_tests::wait::until;

use super::books::{
    ASYNC_WAIT, Answer, GRACE, MAX_CANCELLATIONS, MAX_EXPIRIES, MAX_PENDING, MAX_TOTAL, MIN_TOTAL, WINDOW, ok,
};
use super::provider::{Event, Provider};
use super::steps::Who;

/// A clock that stands still between steps.
pub struct StandingClock(Mutex<Timestamp>);

impl StandingClock {
    pub fn set(&self, now: Timestamp) {
        *self.0.lock().unwrap() = now;
    }
}

impl Clock for StandingClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// Errands run when a step says so.
struct NoBell;

impl ErrandSignal for NoBell {
    fn wake(&self) {}
}

/// When every sequence begins.
pub fn beginning() -> Timestamp {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

/// The rules of the model's shop.
pub fn policy() -> OrderPolicy {
    let seconds = |span: chrono::TimeDelta| u32::try_from(span.num_seconds()).unwrap();
    let usd = |minor| Money::from_minor(minor, Currency::USD);
    OrderPolicy {
        payment_window_seconds: seconds(WINDOW),
        async_wait_seconds: seconds(ASYNC_WAIT),
        provider_grace_seconds: seconds(GRACE),
        min_total: usd(MIN_TOTAL),
        max_total: usd(MAX_TOTAL),
        fraud: FraudLimits {
            max_pending_orders: u32::try_from(MAX_PENDING).unwrap(),
            max_daily_cancellations: u32::try_from(MAX_CANCELLATIONS).unwrap(),
            max_daily_expiries: u32::try_from(MAX_EXPIRIES).unwrap(),
            ..FraudLimits::default()
        },
        public_url: "http://shop.test".to_owned(),
    }
}

/// The shop as one sequence sees it.
pub struct Bench<'a> {
    database: &'a Database,
    orders: OrderService,
    carts: CartService,
    catalog: CatalogService,
    events: Arc<StripeWebhooks>,
    pub clock: Arc<StandingClock>,
    pub provider: Arc<Provider>,
    customers: Vec<UserId>,
    admin: UserId,
    products: Vec<ProductId>,
}

impl<'a> Bench<'a> {
    /// A shop with so many new customers, and new products of these prices and stocks.
    pub async fn open(database: &'a Database, customers: usize, prices_and_stocks: &[(i64, i64)]) -> Self {
        let tag = new_uuid().simple().to_string();
        let clock = Arc::new(StandingClock(Mutex::new(beginning())));
        let provider = Arc::new(Provider::new(&tag[20..], beginning()));
        let config = StripeConfig::new(Secret::new("sk_test_1"), vec![Secret::new(WEBHOOK_SECRET)]);
        let events = Arc::new(StripeWebhooks::new(&config).unwrap());
        let pool = || database.pool.clone();
        let store = Arc::new(PgOrders::new(pool(), Arc::new(SystemIds), Arc::clone(&events) as _));
        let orders = OrderService {
            orders: Arc::clone(&store) as _,
            events: store,
            tasks: Arc::new(PgTasks::new(pool())),
            gateway: Arc::clone(&provider) as Arc<dyn PaymentGateway>,
            errands: Arc::new(NoBell),
            clock: Arc::clone(&clock) as _,
            ids: Arc::new(SystemIds),
            policy: policy(),
        };
        let catalog = CatalogService {
            products: Arc::new(PgProducts::new(pool(), Currency::USD)),
            clock: Arc::clone(&clock) as _,
            ids: Arc::new(SystemIds),
        };
        let carts =
            CartService { carts: Arc::new(PgCarts::new(pool(), Currency::USD)), clock: Arc::clone(&clock) as _ };
        // What a sequence that failed left behind is not this one's to run.
        let forget = [
            "UPDATE tasks SET finished_at = now() WHERE finished_at IS NULL",
            "UPDATE orders SET sweep_lease_until = 'infinity' WHERE status = 'PENDING'",
        ];
        for forget in forget {
            database.run_sql(forget).await.unwrap();
        }
        let admin = database.admin().await;
        let mut bench = Self {
            database,
            orders,
            carts,
            catalog,
            events,
            clock,
            provider,
            customers: vec![],
            admin,
            products: vec![],
        };
        for _ in 0..customers {
            bench.customers.push(database.customer().await);
        }
        for (what, &(price, stock)) in prices_and_stocks.iter().enumerate() {
            let product = NewProduct {
                name: ProductName::new(&format!("Product {what} of {tag}")).unwrap(),
                description: None,
                price: price_of(price),
                stock: Stock::new(stock).unwrap(),
            };
            bench.products.push(bench.catalog.create(product, admin).await.unwrap().id);
        }
        bench
    }

    // --- carts and shelves --------------------------------------------------------------------------------------

    pub async fn look_into_cart(&self, who: usize) -> Answer {
        self.carts.get(self.customers[who]).await.map_or_else(broken, |cart| cart_answer(&cart))
    }

    pub async fn adds(&self, who: usize, what: usize, units: i64) -> Answer {
        let units = Quantity::new(units).unwrap();
        match self.carts.add_item(self.customers[who], self.products[what], units).await {
            Ok(cart) => cart_answer(&cart),
            Err(AddCartItemError::NotFound) => "not_found".to_owned(),
            Err(AddCartItemError::Insufficient(short)) => self.short(&short),
            Err(error @ (AddCartItemError::LineFull { .. } | AddCartItemError::CartFull)) => error.to_string(),
            Err(AddCartItemError::Store(error)) => broken(error),
        }
    }

    pub async fn sets(&self, who: usize, what: usize, units: i64) -> Answer {
        let units = Quantity::new(units).unwrap();
        match self.carts.set_item(self.customers[who], self.products[what], units).await {
            Ok(cart) => cart_answer(&cart),
            Err(SetCartItemError::NotFound) => "not_found".to_owned(),
            Err(SetCartItemError::Insufficient(short)) => self.short(&short),
            Err(SetCartItemError::Store(error)) => broken(error),
        }
    }

    pub async fn removes(&self, who: usize, what: usize) -> Answer {
        match self.carts.remove_item(self.customers[who], self.products[what]).await {
            Ok(cart) => cart_answer(&cart),
            Err(RemoveCartItemError::NotFound) => "not_found".to_owned(),
            Err(RemoveCartItemError::Store(error)) => broken(error),
        }
    }

    pub async fn clears(&self, who: usize) -> Answer {
        self.carts.clear(self.customers[who]).await.map_or_else(broken, |()| ok())
    }

    pub async fn adjusts(&self, what: usize, delta: i64) -> Answer {
        let (delta, reason) = (StockDelta::new(delta).unwrap(), AdjustmentReason::new("counted").unwrap());
        match self.catalog.adjust_stock(self.products[what], delta, reason, self.admin).await {
            Ok(movement) => format!("ok, {} left", movement.stock_after.get()),
            Err(AdjustStockError::NotFound) => "not_found".to_owned(),
            Err(AdjustStockError::Insufficient(short)) => self.short(&short),
            Err(error @ AdjustStockError::TooMuch) => error.to_string(),
            Err(AdjustStockError::Store(error)) => broken(error),
        }
    }

    pub async fn edits(&self, what: usize, price: Option<i64>, stock: Option<i64>) -> Answer {
        let stock = stock.map(|stock| Stock::new(stock).unwrap());
        let changes = ProductChanges { price: price.map(price_of), stock, ..ProductChanges::default() };
        match self.catalog.edit(self.products[what], changes, None, self.admin).await {
            Ok(_) => ok(),
            Err(EditProductError::NotFound) => "not_found".to_owned(),
            Err(error @ (EditProductError::PreconditionFailed | EditProductError::NameTaken)) => error.to_string(),
            Err(EditProductError::Store(error)) => broken(error),
        }
    }

    pub async fn archives(&self, what: usize) -> Answer {
        match self.catalog.archive(self.products[what]).await {
            Ok(()) => ok(),
            Err(ArchiveProductError::NotFound) => "not_found".to_owned(),
            Err(ArchiveProductError::Store(error)) => broken(error),
        }
    }

    fn short(&self, short: &InsufficientStock) -> Answer {
        format!("insufficient_stock {}: {} of {}", self.number_of(short.product_id), short.requested, short.available)
    }

    fn number_of(&self, product: ProductId) -> usize {
        self.products.iter().position(|known| *known == product).expect("a product of this sequence")
    }

    // --- orders -------------------------------------------------------------------------------------------------

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub async fn places(&self, id: OrderId, attempt: Option<AttemptId>, who: usize, expected: Option<i64>) -> Answer {
        let command = PlaceOrder {
            id,
            customer_id: self.customers[who],
            shipping_address: ShippingAddress::new("1 Main Street").unwrap(),
            pay_now: attempt,
            claim: None,
            expected_total_minor: expected,
            at: self.now(),
            policy: policy(),
        };
        match self.orders.place(&command).await {
            Ok(_) => ok(),
            Err(PlaceOrderError::CartEmpty) => "cart_empty".to_owned(),
            Err(PlaceOrderError::Refused(refusal)) => refused(refusal),
            Err(PlaceOrderError::ProductUnavailable { product_id }) => {
                format!("product_unavailable {}", self.number_of(product_id))
            }
            Err(PlaceOrderError::TotalChanged { total }) => format!("total_changed {}", total.amount_minor()),
            Err(PlaceOrderError::TotalNotPayable { total, .. }) => {
                format!("order_total_not_payable {}", total.amount_minor())
            }
            Err(PlaceOrderError::InsufficientStock { product_id, available, requested }) => {
                self.short(&InsufficientStock { product_id, available, requested })
            }
            Err(error @ PlaceOrderError::ClaimLost(_)) => error.to_string(),
            Err(PlaceOrderError::Store(error)) => broken(error),
        }
    }

    pub async fn starts_payment(&self, order_id: OrderId, who: usize) -> Answer {
        let (customer_id, attempt_id) = (self.customers[who], AttemptId::from(new_uuid()));
        let command = StartPayment { order_id, customer_id, attempt_id, at: self.now(), claim: None, policy: policy() };
        match self.orders.start_payment(&command).await {
            Ok(session) => format!("ok, at {}", session.id),
            Err(StartPaymentError::NotFound) => "not_found".to_owned(),
            Err(StartPaymentError::AlreadyPaid) => "order_already_paid".to_owned(),
            Err(StartPaymentError::NotPayable) => "order_not_payable".to_owned(),
            Err(StartPaymentError::Provider) => "payment_provider_error".to_owned(),
            Err(error @ StartPaymentError::ClaimLost(_)) => error.to_string(),
            Err(StartPaymentError::Store(error)) => broken(error),
        }
    }

    /// `owner` is whose order it is; the stranger is the next customer.
    pub async fn cancels(&self, order_id: OrderId, owner: usize, by: Who) -> Answer {
        let (actor_id, role) = match by {
            Who::Owner => (self.customers[owner], Role::Customer),
            Who::Stranger => (self.customers[(owner + 1) % self.customers.len()], Role::Customer),
            Who::Admin => (self.admin, Role::Admin),
        };
        let (at, fraud) = (self.now(), policy().fraud);
        let command = CancelOrder { order_id, actor_id, role, reason: None, claim: None, at, fraud };
        match self.orders.cancel(&command).await {
            Ok(_) => ok(),
            Err(CancelOrderError::NotFound) => "not_found".to_owned(),
            Err(CancelOrderError::AlreadyPaid) => "order_already_paid".to_owned(),
            Err(CancelOrderError::InvalidTransition(no)) => transition(no),
            Err(CancelOrderError::Refused(refusal)) => refused(refusal),
            Err(error @ CancelOrderError::ClaimLost(_)) => error.to_string(),
            Err(CancelOrderError::Store(error)) => broken(error),
        }
    }

    pub async fn fulfils(&self, order_id: OrderId, step: FulfilmentStep) -> Answer {
        let command = FulfilOrder { order_id, admin_id: self.admin, step, at: self.now() };
        match self.orders.fulfil(&command).await {
            Ok(_) => ok(),
            Err(FulfilOrderError::NotFound) => "not_found".to_owned(),
            Err(FulfilOrderError::InvalidTransition(no)) => transition(no),
            Err(FulfilOrderError::Flagged { flags }) => {
                format!("order_flagged {:?}", flags.iter().map(|flag| flag.as_str()).collect::<Vec<_>>())
                    .replace('[', "{")
                    .replace(']', "}")
            }
            Err(FulfilOrderError::Store(error)) => broken(error),
        }
    }

    pub async fn refunds(&self, order_id: OrderId) -> Answer {
        let command = RefundOrderMoney { order_id, admin_id: self.admin, at: self.now() };
        match self.orders.refund(&command).await {
            Ok(_) => ok(),
            Err(RefundOrderMoneyError::NotFound) => "not_found".to_owned(),
            Err(RefundOrderMoneyError::NotRefundable) => "order_not_refundable".to_owned(),
            Err(RefundOrderMoneyError::Store(error)) => broken(error),
        }
    }

    pub async fn receives(&self, event: &Event) -> Answer {
        let event = self.events.translate(&event.payload).unwrap();
        match self.orders.receive(&event).await {
            Ok(EventOutcome::Recorded(status)) => status.as_str().to_owned(),
            Ok(EventOutcome::Repeated) => "repeated".to_owned(),
            Err(error) => broken(error),
        }
    }

    pub async fn sweeps(&self) -> Answer {
        let sweep = self.orders.sweep().await;
        sweep.map_or_else(broken, |sweep| format!("ok, {} of {}", sweep.cancelled, sweep.claimed))
    }

    pub async fn runs_errands(&self) -> Answer {
        self.orders.run_errands().await.map_or_else(broken, |_| ok())
    }

    // --- what can be seen ---------------------------------------------------------------------------------------

    /// Leases and pauses run out: they go by the database's clock, and real time is not the model's.
    pub async fn lets_leases_run_out(&self) {
        for sql in [
            "UPDATE tasks SET due_at = now(), lease_until = NULL WHERE finished_at IS NULL",
            "UPDATE orders SET sweep_lease_until = NULL WHERE status = 'PENDING' AND sweep_lease_until < 'infinity'",
        ] {
            self.database.run_sql(sql).await.unwrap();
        }
    }

    /// Waits until what a dead process had begun is over, one way or the other.
    pub async fn what_was_begun_is_over(&self) {
        let busy = "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database()
            AND pid <> pg_backend_pid() AND backend_type = 'client backend' AND state <> 'idle'";
        until("no transaction is open", async || self.database.number(busy).await == 0).await;
    }

    /// Errands that are not done.
    pub async fn open_tasks(&self) -> Vec<String> {
        let open =
            "SELECT format('%s, %s tries, %s', kind, tries, last_failure) AS t FROM tasks WHERE finished_at IS NULL";
        self.database.texts(open).await
    }

    /// Everything that can be seen of the shop, by name.
    pub async fn view(&self, orders: &[OrderId], events: &[Event]) -> BTreeMap<String, String> {
        let mut view = BTreeMap::new();
        let filters: Vec<OrderFilter> =
            self.customers.iter().map(|id| OrderFilter { customer_id: Some(*id), ..OrderFilter::default() }).collect();
        let all = PageLimit::new(100).unwrap();
        let pages = join_all(filters.iter().map(|filter| self.orders.list(filter, None, all))).await;
        for page in pages {
            for order in page.unwrap().items {
                let number = orders.iter().position(|id| *id == order.id);
                let name = number.map_or_else(|| format!("order {}", order.id), |number| format!("order {number}"));
                view.insert(name, order_view(&order, self.now()));
            }
        }
        for (name, line) in
            self.database.texts(&self.rest_of_view(events)).await.iter().filter_map(|t| t.split_once(": "))
        {
            view.insert(name.to_owned(), line.to_owned());
        }
        view
    }

    /// Products with their ledgers, carts, and what became of events.
    fn rest_of_view(&self, events: &[Event]) -> String {
        let list = |names: &mut dyn Iterator<Item = String>| {
            names.map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ")
        };
        let products = list(&mut self.products.iter().map(|id| id.uuid().to_string()));
        let customers = list(&mut self.customers.iter().map(|id| id.uuid().to_string()));
        let events = list(&mut events.iter().map(|event| event.id.clone()));
        format!(
            "SELECT format('product %s: %s in stock, %s by %s moves, at %s, archived: %s',
                array_position(ARRAY[{products}]::uuid[], id) - 1, stock, moved, moves, price_minor,
                CASE WHEN archived_at IS NULL THEN 'false' ELSE 'true' END) AS t
            FROM products, LATERAL (SELECT sum(delta) AS moved, count(*) AS moves FROM stock_movements
                WHERE product_id = products.id) AS ledger WHERE id IN ({products})
            UNION ALL
            SELECT format('cart %s: %s', array_position(ARRAY[{customers}]::uuid[], id) - 1,
                (SELECT string_agg(line, ', ' ORDER BY line COLLATE \"C\") FROM (
                    SELECT format('%s of %s', quantity, array_position(ARRAY[{products}]::uuid[], product_id) - 1)
                    AS line FROM cart_items WHERE user_id = users.id) AS lines)) AS t
            FROM users WHERE id IN ({customers})
            UNION ALL
            SELECT format('event %s: %s', provider_event_id, status) AS t FROM provider_events
            WHERE provider_event_id = ANY (ARRAY[{events}]::text[])"
        )
    }
}

fn price_of(minor: i64) -> Price {
    Price::new(Money::from_minor(minor, Currency::USD)).unwrap()
}

fn cart_answer(cart: &Cart) -> Answer {
    format!("ok, {} in {} lines", cart.total().amount_minor(), cart.lines().len())
}

fn transition(no: domain::order::InvalidTransition) -> Answer {
    format!("invalid_transition {} to {}", no.from.as_str(), no.to.as_str())
}

fn refused(refusal: FraudRefusal) -> Answer {
    match refusal {
        FraudRefusal::PendingOrders { max } => format!("pending_order_limit {max}"),
        FraudRefusal::DailyExpiries { max } => format!("pending_order_limit for expiries {max}"),
        FraudRefusal::DailyCancellations { max } => format!("daily_cancellation_limit {max}"),
        off @ (FraudRefusal::Units { .. } | FraudRefusal::AccountTooNew { .. }) => off.to_string(),
    }
}

/// Nothing fails here: neither the machine nor a rule of the database.
fn broken(error: StoreError) -> Answer {
    let source = std::error::Error::source(&error).map(ToString::to_string);
    format!("the store failed: {error}: {source:?}")
}

fn order_view(order: &Order, now: Timestamp) -> String {
    use domain::order::Payability;
    let by = order.state.cancellation().map_or("nobody", |cancellation| cancellation.by.as_str());
    let session = order.payable_session(now).map_or("nowhere", |session| session.id.as_str());
    let unpayable = match order.payability(now) {
        Payability::Payable => "payable",
        Payability::Paid => "order_already_paid",
        Payability::NotPayable => "order_not_payable",
    };
    let flags: std::collections::BTreeSet<&str> = order.flags.iter().map(|flag| flag.as_str()).collect();
    let attempt = |attempt: &domain::payment::Attempt| {
        let state = match &attempt.state {
            AttemptState::Requested => "asked",
            AttemptState::Open(_) => "open",
            AttemptState::Processing { .. } => "processing",
            AttemptState::Ended { .. } => "over",
        };
        format!("{} {state}", attempt.session_id().map_or("-", |id| id.as_str()))
    };
    let attempts: Vec<String> = order.attempts.iter().map(attempt).collect();
    let receipt = |receipt: &domain::payment::Receipt| {
        let (kind, word) = match receipt.kind {
            ReceiptKind::Payment => ("PAYMENT", ""),
            ReceiptKind::Extra(reason) => (reason.as_str(), receipt.refund_word().as_str()),
        };
        format!("{} {:?} {kind} back {} {word}", receipt.intent, receipt.amount, receipt.refunded_minor())
    };
    let mut receipts: Vec<String> = order.receipts.iter().map(receipt).collect();
    receipts.sort();
    let entry = |entry: &domain::order::HistoryEntry| format!("{} by {}", entry.to.as_str(), entry.by.as_str());
    let history: Vec<String> = order.history.iter().map(entry).collect();
    format!(
        "{}, cancelled by {by}, {} is {}, {unpayable} at {session}, due {}, flags {flags:?}, attempts {attempts:?}, \
         receipts {receipts:?}, history {history:?}",
        order.status().as_str(),
        order.total.amount_minor(),
        order.payment.as_str(),
        order.due_at(),
    )
}
