//! Which account at the payment provider.

use super::reader::{Noted, Reader};
use super::secret::Secret;
use super::server::{is_loopback, web_url};
use super::sources::Stage;

/// `[stripe]`
#[derive(Debug, Clone)]
pub enum StripeSettings {
    /// An account at Stripe, or at whatever answers at `api_base`.
    Account(StripeAccount),
    /// The built-in simulator; in development and test only.
    Simulator,
}

/// An account at Stripe.
#[derive(Debug, Clone)]
pub struct StripeAccount {
    /// Signs the shop's requests.
    pub api_key: Secret,
    /// Sign the provider's events; the current one first.
    pub webhook_secrets: Vec<Secret>,
    /// Another base URL than Stripe's, without a slash at its end.
    pub api_base: Option<String>,
}

const WEBHOOK_SECRET: &str = "whsec_…, at least 32 characters";

impl StripeSettings {
    pub(super) fn read(reader: &mut Reader) -> Result<Self, Noted> {
        let api_key = reader.secret("stripe.api_key", "a key of visible ASCII characters, sk_… or rk_…", is_visible);
        let webhook_secret = reader.secret("stripe.webhook_secret", WEBHOOK_SECRET, is_webhook_secret);
        let more_secrets = reader.list(
            "stripe.webhook_secrets",
            "comma-separated secrets, whsec_… of at least 32 characters",
            |text| is_webhook_secret(text).then(|| Secret::new(text)),
        );
        let must_be_private = reader.stage() == Stage::Production;
        let allowed =
            if must_be_private { "https://host[:port]" } else { "https://…, or http:// on loopback, or none" };
        let api_base = reader.optional("stripe.api_base", allowed, |text| base(text, must_be_private));

        let (api_key, webhook_secret, more_secrets, api_base) = (api_key?, webhook_secret?, more_secrets?, api_base?);
        match (api_key, webhook_secret) {
            (Some(api_key), Some(webhook_secret)) => {
                let webhook_secrets = std::iter::once(webhook_secret).chain(more_secrets).collect();
                Ok(Self::Account(StripeAccount { api_key, webhook_secrets, api_base }))
            }
            (Some(_), None) => Err(reader.missing("stripe.webhook_secret", "STRIPE_API_KEY is: set both or neither")),
            (None, Some(_)) => Err(reader.missing("stripe.api_key", "STRIPE_WEBHOOK_SECRET is: set both or neither")),
            (None, None) if api_base.is_some() => {
                Err(reader
                    .missing("stripe.api_key", "APP__STRIPE__API_BASE is: set the key and the webhook secret too"))
            }
            (None, None) if !more_secrets.is_empty() => {
                Err(reader.missing("stripe.webhook_secret", "APP__STRIPE__WEBHOOK_SECRETS is: set the current one too"))
            }
            (None, None) => Ok(Self::Simulator),
        }
    }
}

fn is_visible(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Contract 5.
fn is_webhook_secret(text: &str) -> bool {
    text.starts_with("whsec_") && text.chars().count() >= 32 && is_visible(text)
}

/// A key never travels in the clear but on loopback, and in production not even there.
fn base(text: &str, must_be_private: bool) -> Option<String> {
    let url = web_url(text)?;
    let is_private = url.scheme() == "https" || (!must_be_private && is_loopback(&url));
    is_private.then(|| text.trim_end_matches('/').to_owned())
}
