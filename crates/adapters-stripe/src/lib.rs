//! Stripe behind the domain's payment port: the gateway, and signed webhooks as domain events.
