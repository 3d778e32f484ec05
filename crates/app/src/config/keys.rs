//! The table of all settings: what is not in it is a mistake, wherever it stands.

/// One setting: where it stands in the files, and which variable sets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    /// `section.name`.
    pub(super) path: &'static str,
    /// The variable, for those that do not follow the rule `APP__SECTION__NAME`.
    own_variable: Option<&'static str>,
    /// Whether its value may never be shown.
    pub(super) is_secret: bool,
}

impl Key {
    const fn plain(path: &'static str) -> Self {
        Self { path, own_variable: None, is_secret: false }
    }

    const fn named(path: &'static str, variable: &'static str) -> Self {
        Self { path, own_variable: Some(variable), is_secret: false }
    }

    const fn secret(self) -> Self {
        Self { is_secret: true, ..self }
    }

    /// The one variable that sets it.
    pub(super) fn variable(self) -> String {
        match self.own_variable {
            Some(variable) => variable.to_owned(),
            None => rule_variable(self.path),
        }
    }
}

/// `server.port` is `APP__SERVER__PORT`.
pub(super) fn rule_variable(path: &str) -> String {
    format!("{PREFIX}{}", path.replace('.', "__").to_uppercase())
}

/// What variables of settings begin with; others are none of our business.
pub(super) const PREFIX: &str = "APP__";

/// Every setting of contract 5, in the order of `config/default.toml`.
pub(super) const KEYS: [Key; 39] = [
    Key::plain("server.host"),
    Key::plain("server.port"),
    Key::plain("server.public_url"),
    Key::plain("server.trusted_proxies"),
    Key::plain("server.metrics_addr"),
    Key::plain("server.cors_origins"),
    Key::named("database.url", "DATABASE_URL").secret(),
    Key::plain("database.max_connections"),
    Key::plain("database.migrate_on_start"),
    Key::named("auth.jwt_secret", "JWT_SECRET").secret(),
    Key::plain("auth.previous_jwt_secrets").secret(),
    Key::plain("auth.access_ttl_seconds"),
    Key::plain("auth.refresh_ttl_seconds"),
    Key::named("stripe.api_key", "STRIPE_API_KEY").secret(),
    Key::named("stripe.webhook_secret", "STRIPE_WEBHOOK_SECRET").secret(),
    Key::plain("stripe.webhook_secrets").secret(),
    Key::plain("stripe.api_base"),
    Key::plain("orders.payment_window_seconds"),
    Key::plain("orders.async_wait_seconds"),
    Key::plain("orders.min_total"),
    Key::plain("orders.max_total"),
    Key::plain("orders.sweep_interval_seconds"),
    Key::plain("orders.provider_grace_seconds"),
    Key::plain("fraud.max_pending_orders"),
    Key::plain("fraud.max_daily_cancellations"),
    Key::plain("fraud.max_daily_expiries"),
    Key::plain("fraud.max_units_per_product"),
    Key::plain("fraud.min_account_age_seconds"),
    Key::plain("fraud.min_age_above_total"),
    Key::plain("store.currency"),
    Key::plain("rate_limit.enabled"),
    Key::plain("rate_limit.global"),
    Key::plain("rate_limit.checkout"),
    Key::plain("rate_limit.auth_failures"),
    Key::plain("rate_limit.registrations"),
    Key::plain("rate_limit.exempt"),
    Key::named("log.filter", "RUST_LOG"),
    Key::named("telemetry.otlp_endpoint", "OTEL_EXPORTER_OTLP_ENDPOINT"),
    Key::named("development.pg_bin", "PG_BIN"),
];

/// The key at `path`, if there is one.
pub(super) fn at(path: &str) -> Option<Key> {
    KEYS.into_iter().find(|key| key.path == path)
}
