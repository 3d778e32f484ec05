//! The provider's own names for its things. The shop keeps them as they come and never looks inside.

use std::fmt;

/// A text that is no provider id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a provider id: 1 to 255 visible ASCII characters")]
pub struct InvalidProviderId;

macro_rules! provider_ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Accepts 1 to 255 visible ASCII characters.
            pub fn new(text: impl Into<String>) -> Result<Self, InvalidProviderId> {
                let text = text.into();
                let plain = (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
                if plain { Ok(Self(text)) } else { Err(InvalidProviderId) }
            }

            /// The id as the provider writes it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

provider_ids! {
    /// A checkout session.
    CheckoutSessionId,
    /// A payment intent: what a receipt is kept by.
    PaymentIntentId,
    /// A refund.
    ProviderRefundId,
    /// An event.
    ProviderEventId,
}
