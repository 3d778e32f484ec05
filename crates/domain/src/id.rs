//! Identifiers as types of their own, so that an order's id can't be passed for a product's.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::clock::Ids;

/// A text that is no UUID in its hyphenated, lower- or upper-case form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a UUID")]
pub struct InvalidId;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// Mints a new id.
            pub fn mint(ids: &dyn Ids) -> Self {
                Self(ids.next())
            }

            /// Reads the hyphenated form.
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                if text.len() != 36 {
                    return Err(InvalidId);
                }
                Uuid::try_parse(text).map(Self).map_err(|_| InvalidId)
            }

            /// The UUID itself.
            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::parse(text)
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }
    )+};
}

ids! {
    /// A customer or an admin.
    UserId,
    /// A login: the family of refresh tokens that descend from it.
    SessionId,
    /// A product of the catalogue.
    ProductId,
    /// One entry of the stock ledger.
    MovementId,
    /// An order.
    OrderId,
    /// One attempt to open a checkout session; also the idempotency key of that call.
    AttemptId,
    /// One request to give money back; also the idempotency key of that call.
    RefundRequestId,
    /// Something that must yet happen at the payment provider.
    TaskId,
    /// A provider's event as the shop received it.
    EventId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_hyphenated_form_is_an_id() {
        let text = "0192f0c1-2345-7abc-8def-0123456789ab";
        assert_eq!(OrderId::parse(text).map(|id| id.to_string()), Ok(text.into()));
        for bad in ["", "0192f0c123457abc8def0123456789ab", "{0192f0c1-2345-7abc-8def-0123456789ab}", "1"] {
            assert_eq!(OrderId::parse(bad), Err(InvalidId), "{bad}");
        }
    }
}
