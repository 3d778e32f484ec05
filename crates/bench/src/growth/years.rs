//! What a shop of a given size holds after two years, computed from row numbers: the same in each run, and without
//! anything kept in memory but the stock.

use app::system::SystemClock;
use domain::clock::Clock as _;
use serde::Serialize;

const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;
/// How long the shop has been open.
const OPEN_DAYS: i64 = 730;
/// As long as the shop keeps events, and finished errands.
const KEPT_DAYS: i64 = 90;
/// As long as it keeps their payloads.
const PAYLOAD_DAYS: i64 = 30;
/// How many units of each product came in at the beginning.
pub(super) const STOCKED: i64 = 10_000_000;

/// How large a shop is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Size {
    /// Orders.
    pub(crate) orders: u64,
    /// A product for each ten orders, within 1,000 and 1,000,000.
    pub(crate) products: u64,
    /// A customer for each ten orders, so that all of them have ten.
    pub(crate) customers: u64,
}

impl Size {
    /// The size with so many orders.
    pub(crate) fn of(orders: u64) -> Self {
        Self { orders, products: (orders / 10).clamp(1_000, 1_000_000), customers: (orders / 10).max(1) }
    }
}

/// Two years of trade, until now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Years {
    pub(super) size: Size,
    /// Microseconds since 1970.
    pub(super) now: i64,
}

/// How an order stands, and its payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Paid,
    Shipped,
    Delivered,
    /// Delivered, and the money went back.
    Returned,
    /// Called off, or expired, and never paid.
    Cancelled,
    /// Called off after it was paid; the money went back.
    Refunded,
}

impl Standing {
    pub(super) const fn status(self) -> &'static str {
        match self {
            Self::Paid => "PAID",
            Self::Shipped => "SHIPPED",
            Self::Delivered | Self::Returned => "DELIVERED",
            Self::Cancelled | Self::Refunded => "CANCELLED",
        }
    }

    pub(super) const fn payment(self) -> &'static str {
        match self {
            Self::Paid | Self::Shipped | Self::Delivered => "COMPLETED",
            Self::Returned | Self::Refunded => "REFUNDED",
            Self::Cancelled => "PENDING",
        }
    }

    pub(super) const fn is_paid(self) -> bool {
        !matches!(self, Self::Cancelled)
    }

    pub(super) const fn is_cancelled(self) -> bool {
        matches!(self, Self::Cancelled | Self::Refunded)
    }

    pub(super) const fn is_refunded(self) -> bool {
        matches!(self, Self::Returned | Self::Refunded)
    }

    pub(super) const fn is_shipped(self) -> bool {
        matches!(self, Self::Shipped | Self::Delivered | Self::Returned)
    }
}

/// One order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sale {
    /// From 1, in the order of time.
    pub(super) number: u64,
    pub(super) customer: u64,
    pub(super) at: i64,
    pub(super) standing: Standing,
    /// Who called it off.
    pub(super) cancelled_by: &'static str,
    pub(super) is_flagged: bool,
    /// Product and units.
    pub(super) lines: [(u64, i32); 2],
    pub(super) has_events: bool,
    pub(super) has_payloads: bool,
}

impl Years {
    /// Until the present moment.
    pub(super) fn until_now(size: Size) -> Self {
        Self { size, now: SystemClock.now().timestamp_micros() }
    }

    /// When the shop opened.
    pub(super) const fn opening(&self) -> i64 {
        self.now - OPEN_DAYS * MICROS_PER_DAY
    }

    /// When the `number`th of `count` things came about: evenly over the years.
    pub(super) fn moment(&self, number: u64, count: u64) -> i64 {
        let passed = i128::from(OPEN_DAYS * MICROS_PER_DAY) * i128::from(number) / i128::from(count.max(1));
        // An hour ago the last one: nothing of it is still under way.
        self.opening() + i64::try_from(passed).unwrap_or_default() - 3_600 * MICROS_PER_SECOND
    }

    /// The `number`th order, from 1.
    pub(super) fn sale(&self, number: u64) -> Sale {
        let Size { orders, products, customers } = self.size;
        let at = self.moment(number, orders);
        let dice = scattered(number);
        let standing = if dice % 100 < 13 {
            Standing::Cancelled
        } else if dice % 100 < 17 {
            Standing::Refunded
        } else if number > orders - orders / 50 {
            Standing::Paid
        } else if number > orders - orders / 20 {
            Standing::Shipped
        } else if dice % 100 < 18 {
            Standing::Returned
        } else {
            Standing::Delivered
        };
        let first = 1 + scattered(dice) % products;
        let second = 1 + (first + scattered(dice + 1) % (products - 1)) % products;
        Sale {
            number,
            customer: 1 + (number - 1) % customers,
            at,
            standing,
            cancelled_by: ["CUSTOMER", "SYSTEM", "ADMIN"][usize::from(dice.to_be_bytes()[0]) % 3],
            is_flagged: number % 500 == 1,
            lines: [(first, 1), (second, 1 + i32::from(dice.is_multiple_of(7)))],
            has_events: at > self.now - KEPT_DAYS * MICROS_PER_DAY,
            has_payloads: at > self.now - PAYLOAD_DAYS * MICROS_PER_DAY,
        }
    }

    /// All orders, in the order of time.
    pub(super) fn sales(&self) -> impl Iterator<Item = Sale> {
        let years = *self;
        (1..=self.size.orders).map(move |number| years.sale(number))
    }

    /// Every move of stock, with what is on hand after it; and what is on hand in the end. The first moves bring the
    /// products in.
    pub(super) fn moves(&self) -> Moves {
        Moves { stock: vec![STOCKED; usize::try_from(self.size.products).unwrap_or_default()] }
    }
}

/// What is on hand, while orders pass by.
#[derive(Debug)]
pub(super) struct Moves {
    stock: Vec<i64>,
}

impl Moves {
    /// Moves a product's stock; gives what is on hand then.
    pub(super) fn by(&mut self, product: u64, delta: i64) -> i64 {
        let place = usize::try_from(product - 1).unwrap_or_default();
        self.stock[place] += delta;
        self.stock[place]
    }

    /// Takes an order's units, and gives them back if it was cancelled; calls with product, delta and what is on hand.
    pub(super) fn of(&mut self, sale: &Sale, mut each: impl FnMut(u64, i64, i64)) {
        let signs: &[i64] = if sale.standing.is_cancelled() { &[-1, 1] } else { &[-1] };
        for sign in signs {
            for (product, units) in sale.lines {
                let delta = sign * i64::from(units);
                each(product, delta, self.by(product, delta));
            }
        }
    }
}

/// A number that looks like chance (splitmix64).
pub(super) const fn scattered(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// What a product costs, in minor units.
pub(super) const fn price(product: u64) -> i64 {
    (500 + product * 7_919 % 20_000).cast_signed()
}

/// A UUIDv7 of this moment; kind and number make it unique.
pub(super) fn timed_id(kind: u16, number: u64, micros: i64) -> u128 {
    let millis = u128::try_from(micros / 1_000).unwrap_or_default();
    (millis << 80) | (0x7 << 76) | (u128::from(kind & 0xfff) << 64) | (0x2 << 62) | u128::from(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sizes_keep_their_shares() {
        let of = |orders| (Size::of(orders).products, Size::of(orders).customers);
        assert_eq!(of(10_000), (1_000, 1_000));
        assert_eq!(of(1_000_000), (100_000, 100_000));
        assert_eq!(of(20_000_000), (1_000_000, 2_000_000));
    }

    #[test]
    fn an_order_has_two_products_and_comes_before_now() {
        let years = Years::until_now(Size::of(10_000));
        for sale in years.sales() {
            let [(first, _), (second, _)] = sale.lines;
            assert!(first != second && first.max(second) <= 1_000 && first.min(second) >= 1, "{sale:?}");
            assert!(sale.at < years.now && sale.customer <= 1_000);
        }
    }

    #[test]
    fn stock_goes_down_and_comes_back_with_what_is_cancelled() {
        let years = Years::until_now(Size::of(10_000));
        let (mut moves, mut sum) = (years.moves(), 0);
        years.sales().for_each(|sale| moves.of(&sale, |_, delta, _| sum += delta));
        let on_hand: i64 = moves.stock.iter().sum();
        assert_eq!(on_hand, 1_000 * STOCKED + sum);
        assert!(sum < -15_000, "{sum}");
    }

    #[test]
    fn ids_are_of_version_7_and_follow_time() {
        let id = timed_id(3, 17, 1_700_000_000_000_000);
        let text = uuid::Uuid::from_u128(id);
        assert_eq!((text.get_version_num(), text.get_variant()), (7, uuid::Variant::RFC4122));
        assert!(id < timed_id(3, 1, 1_700_000_000_001_000));
    }
}
