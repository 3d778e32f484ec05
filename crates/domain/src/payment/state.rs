//! How an order's payment stands (contract 3, "Payment"): moves consume the old state, and what is not a move
//! does not compile or is refused.

use crate::payment::RefundStanding;

/// The state of an order's payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaymentStatus {
    /// Not paid.
    Pending,
    /// The last delayed payment failed; it can be tried again.
    Failed,
    /// Paid.
    Completed,
    /// Money is on its way back.
    RefundPending,
    /// All of it went back.
    Refunded,
    /// It should have gone back and did not.
    RefundFailed,
}

/// A move that the payment's rules don't have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a payment can't move from {from:?} that way")]
pub struct InvalidPaymentMove {
    /// Where it stands.
    pub from: PaymentStatus,
}

impl PaymentStatus {
    /// All of them, in the order of the contract.
    pub const ALL: [Self; 6] =
        [Self::Pending, Self::Failed, Self::Completed, Self::RefundPending, Self::Refunded, Self::RefundFailed];

    /// The contract's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Failed => "FAILED",
            Self::Completed => "COMPLETED",
            Self::RefundPending => "REFUND_PENDING",
            Self::Refunded => "REFUNDED",
            Self::RefundFailed => "REFUND_FAILED",
        }
    }

    /// Reads the contract's word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }

    /// Money of the right sum arrived.
    pub fn complete(self) -> Result<Self, InvalidPaymentMove> {
        match self {
            Self::Pending | Self::Failed => Ok(Self::Completed),
            from => Err(InvalidPaymentMove { from }),
        }
    }

    /// A delayed payment failed.
    pub fn fail(self) -> Result<Self, InvalidPaymentMove> {
        match self {
            Self::Pending | Self::Failed => Ok(Self::Failed),
            from => Err(InvalidPaymentMove { from }),
        }
    }

    /// A further attempt begins.
    pub fn retry(self) -> Result<Self, InvalidPaymentMove> {
        match self {
            Self::Pending | Self::Failed => Ok(Self::Pending),
            from => Err(InvalidPaymentMove { from }),
        }
    }

    /// The refunds of the payment's receipt stand differently now.
    pub fn follow(self, standing: RefundStanding) -> Result<Self, InvalidPaymentMove> {
        match self {
            Self::Pending | Self::Failed => Err(InvalidPaymentMove { from: self }),
            Self::Completed | Self::RefundPending | Self::Refunded | Self::RefundFailed => Ok(match standing {
                RefundStanding::None | RefundStanding::Partial => Self::Completed,
                RefundStanding::Pending => Self::RefundPending,
                RefundStanding::Full => Self::Refunded,
                RefundStanding::Failed => Self::RefundFailed,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use PaymentStatus::{Completed, Failed, Pending, RefundFailed, RefundPending, Refunded};

    /// The whole table of contract 3: each row a state, what each move makes of it, `None` where it does not exist.
    #[test]
    fn only_the_moves_of_the_contract_exist() {
        for (from, complete, fail, retry) in [
            (Pending, Some(Completed), Some(Failed), Some(Pending)),
            (Failed, Some(Completed), Some(Failed), Some(Pending)),
            (Completed, None, None, None),
            (RefundPending, None, None, None),
            (Refunded, None, None, None),
            (RefundFailed, None, None, None),
        ] {
            assert_eq!(from.complete().ok(), complete, "{from:?} completes");
            assert_eq!(from.fail().ok(), fail, "{from:?} fails");
            assert_eq!(from.retry().ok(), retry, "{from:?} is tried again");
        }
    }

    #[test]
    fn a_completed_payment_follows_its_refunds_and_another_has_none() {
        for from in PaymentStatus::ALL {
            for (standing, to) in [
                (RefundStanding::None, Completed),
                (RefundStanding::Partial, Completed),
                (RefundStanding::Pending, RefundPending),
                (RefundStanding::Full, Refunded),
                (RefundStanding::Failed, RefundFailed),
            ] {
                let expected = if matches!(from, Pending | Failed) { Err(InvalidPaymentMove { from }) } else { Ok(to) };
                assert_eq!(from.follow(standing), expected, "{from:?} follows {standing:?}");
            }
        }
    }

    #[test]
    fn words_are_read_back() {
        for status in PaymentStatus::ALL {
            assert_eq!(PaymentStatus::parse(status.as_str()), Some(status));
        }
        assert_eq!(PaymentStatus::parse("completed"), None);
    }
}
