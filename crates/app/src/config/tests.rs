//! What the settings are, what they may be, and what is told of those that may not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::keys::KEYS;
use super::*;

const JWT: &str = "a-secret-of-at-least-thirty-two-bytes";
const KEY: &str = "sk_test_abcdefghijklmnop";
const WHSEC: &str = "whsec_abcdefghijklmnopqrstuvwxyz";
const DATABASE: &str = "postgres://shop:hunter2@db.example:5432/shop";

/// What production needs at least.
const PRODUCTION: [(&str, &str); 5] = [
    ("APP_ENV", "production"),
    ("DATABASE_URL", DATABASE),
    ("JWT_SECRET", JWT),
    ("STRIPE_API_KEY", KEY),
    ("STRIPE_WEBHOOK_SECRET", WHSEC),
];

/// A folder with files in it, as a process would work in.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("config")).unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn load_beside(variables: &[(&str, &str)], files: &[(&str, &str)]) -> Result<Settings, InvalidSettings> {
    let environment = variables.iter().copied().collect();
    Settings::load(&environment, folder(files).path())
}

fn load(variables: &[(&str, &str)]) -> Result<Settings, InvalidSettings> {
    load_beside(variables, &[])
}

fn load_in_production(change: &[(&str, &str)]) -> Result<Settings, InvalidSettings> {
    load(&[&PRODUCTION, change].concat())
}

/// The names of the mistakes, in order.
fn names(result: Result<Settings, InvalidSettings>) -> Vec<String> {
    result.unwrap_err().0.into_iter().map(|mistake| mistake.name).collect()
}

#[test]
fn without_anything_a_developer_gets_the_defaults_of_the_contract() {
    let seconds = Duration::from_secs;
    let settings = load(&[]).unwrap();
    assert_eq!(settings.stage, Stage::Development);
    assert_eq!(settings.server.address.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.server.public_url, "http://localhost:8080");
    assert!(settings.server.trusted_proxies.is_empty());
    assert_eq!(settings.server.metrics_address, None);
    assert!(settings.server.cors_origins.is_empty());
    assert!(settings.database.url.is_none());
    assert_eq!(settings.database.max_connections, 16);
    assert!(settings.database.migrate_on_start);
    assert!(settings.auth.jwt_secret.is_none());
    assert!(settings.auth.previous_jwt_secrets.is_empty());
    assert_eq!(settings.auth.access_ttl, seconds(900));
    assert_eq!(settings.auth.refresh_ttl, seconds(2_592_000));
    assert!(matches!(settings.stripe, StripeSettings::Simulator));
    assert_eq!(settings.orders.payment_window, seconds(1_800));
    assert_eq!(settings.orders.async_wait, seconds(259_200));
    assert_eq!((settings.orders.min_total_minor, settings.orders.max_total_minor), (50, 99_999_999));
    assert_eq!(settings.orders.sweep_interval, seconds(30));
    assert_eq!(settings.orders.provider_grace, seconds(600));
    assert_eq!(settings.fraud.max_pending_orders, 5);
    assert_eq!(settings.fraud.max_daily_cancellations, 3);
    assert_eq!(settings.fraud.max_daily_expiries, 10);
    assert_eq!(settings.fraud.max_units_per_product, None);
    assert_eq!(settings.fraud.account_age, None);
    assert_eq!(settings.store.currency.as_str(), "USD");
    assert!(settings.rate_limit.enabled);
    let limit = |count, period| RateLimit { count, period: seconds(period) };
    assert_eq!(settings.rate_limit.global, limit(100, 900));
    assert_eq!(settings.rate_limit.checkout, limit(10, 3_600));
    assert_eq!(settings.rate_limit.auth_failures, limit(5, 900));
    assert_eq!(settings.rate_limit.registrations, limit(20, 3_600));
    assert!(settings.rate_limit.exempt.is_empty());
    assert_eq!(settings.telemetry.otlp_endpoint, None);
    assert_eq!(settings.pg_bin, None);
}

#[test]
fn every_stage_but_development_leaves_migrating_to_a_person() {
    assert!(!load(&[("APP_ENV", "test")]).unwrap().database.migrate_on_start);
    assert!(!load_in_production(&[]).unwrap().database.migrate_on_start);
}

#[test]
fn production_names_every_default_that_only_development_has() {
    let mistakes = names(load(&[("APP_ENV", "production")]));
    assert_eq!(mistakes, ["DATABASE_URL", "JWT_SECRET", "STRIPE_API_KEY", "STRIPE_WEBHOOK_SECRET"]);
    load_in_production(&[]).unwrap();
}

#[test]
fn what_is_allowed_is_taken() {
    for (variable, value) in [
        ("APP__SERVER__HOST", "0.0.0.0"),
        ("APP__SERVER__HOST", "::"),
        ("APP__SERVER__HOST", "localhost"),
        ("APP__SERVER__PORT", "0"),
        ("APP__SERVER__PORT", "65535"),
        ("APP__SERVER__TRUSTED_PROXIES", "10.0.0.0/8, 2001:db8::/32,192.0.2.1"),
        ("APP__SERVER__TRUSTED_PROXIES", "none"),
        ("APP__SERVER__PUBLIC_URL", "https://shop.example/base/"),
        ("APP__SERVER__METRICS_ADDR", "127.0.0.1:9100"),
        ("APP__SERVER__METRICS_ADDR", "localhost:9100"),
        ("APP__SERVER__METRICS_ADDR", "[::1]:9100"),
        ("APP__SERVER__METRICS_ADDR", "none"),
        ("APP__SERVER__CORS_ORIGINS", "https://shop.example,http://localhost:3000"),
        ("DATABASE_URL", "postgresql://u@h/d?sslmode=disable"),
        ("APP__DATABASE__MAX_CONNECTIONS", "1"),
        ("APP__DATABASE__MIGRATE_ON_START", "true"),
        ("JWT_SECRET", "0123456789abcdef0123456789abcdef"),
        ("JWT_SECRET", "ÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄ"),
        ("APP__AUTH__PREVIOUS_JWT_SECRETS", JWT),
        ("APP__AUTH__ACCESS_TTL_SECONDS", "60"),
        ("APP__STRIPE__API_BASE", "https://proxy.example/stripe/"),
        ("APP__STRIPE__WEBHOOK_SECRETS", "whsec_abcdefghijklmnopqrstuvwxyz, whsec_zyxwvutsrqponmlkjihgfedcba"),
        ("APP__ORDERS__PAYMENT_WINDOW_SECONDS", "300"),
        ("APP__ORDERS__PAYMENT_WINDOW_SECONDS", "82800"),
        ("APP__ORDERS__MIN_TOTAL", "0"),
        ("APP__ORDERS__MAX_TOTAL", "99999999.99"),
        ("APP__ORDERS__PROVIDER_GRACE_SECONDS", "0"),
        ("APP__FRAUD__MAX_DAILY_CANCELLATIONS", "0"),
        ("APP__FRAUD__MAX_UNITS_PER_PRODUCT", "12"),
        ("APP__FRAUD__MAX_UNITS_PER_PRODUCT", "off"),
        ("APP__STORE__CURRENCY", "EUR"),
        ("APP__RATE_LIMIT__ENABLED", "false"),
        ("APP__RATE_LIMIT__GLOBAL", "1000/1m"),
        ("APP__RATE_LIMIT__EXEMPT", "10.1.2.3/32"),
        ("RUST_LOG", "info,app=debug"),
        ("RUST_LOG", "off"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318"),
        ("PG_BIN", "/opt/postgres/bin"),
    ] {
        if let Err(error) = load_in_production(&[(variable, value)]) {
            panic!("{variable}={value} was refused: {error}");
        }
    }
}

#[test]
fn what_is_not_allowed_is_refused_with_its_name_its_value_and_what_is_allowed() {
    for (variable, value, allowed) in [
        ("APP__SERVER__HOST", "shop.example", "an IP address"),
        ("APP__SERVER__PORT", "65536", "from 0 to 65535"),
        ("APP__SERVER__PORT", "-1", "from 0 to 65535"),
        ("APP__SERVER__PORT", "+80", "from 0 to 65535"),
        ("APP__SERVER__PORT", "80 ", "from 0 to 65535"),
        ("APP__SERVER__PORT", "http", "from 0 to 65535"),
        ("APP__SERVER__TRUSTED_PROXIES", "10.0.0.0/33", "CIDRs"),
        ("APP__SERVER__TRUSTED_PROXIES", "10.0.0.0/8,,::1", "CIDRs"),
        ("APP__SERVER__TRUSTED_PROXIES", "10.0.0.0/8,proxy", "CIDRs"),
        ("APP__SERVER__PUBLIC_URL", "shop.example", "http(s)://"),
        ("APP__SERVER__PUBLIC_URL", "ftp://shop.example", "http(s)://"),
        ("APP__SERVER__PUBLIC_URL", "https:shop.example", "http(s)://"),
        ("APP__SERVER__PUBLIC_URL", "https://shop.example/?a=b", "http(s)://"),
        ("APP__SERVER__METRICS_ADDR", "9100", "host:port"),
        ("APP__SERVER__METRICS_ADDR", "127.0.0.1", "host:port"),
        ("APP__SERVER__CORS_ORIGINS", "*", "origins"),
        ("APP__SERVER__CORS_ORIGINS", "https://shop.example/path", "origins"),
        ("APP__SERVER__CORS_ORIGINS", "https://shop.example/", "origins"),
        ("APP__SERVER__CORS_ORIGINS", "https://Shop.example", "origins"),
        ("APP__DATABASE__MAX_CONNECTIONS", "0", "from 1 to 1000"),
        ("APP__DATABASE__MIGRATE_ON_START", "yes", "true or false"),
        ("APP__AUTH__ACCESS_TTL_SECONDS", "0", "from 1 to 86400"),
        ("APP__AUTH__REFRESH_TTL_SECONDS", "1e3", "from 1 to 31536000"),
        ("APP__STRIPE__API_BASE", "http://stripe.example", "https://"),
        ("APP__STRIPE__API_BASE", "api.stripe.com", "https://"),
        ("APP__ORDERS__PAYMENT_WINDOW_SECONDS", "0", "from 1 to 82800"),
        ("APP__ORDERS__PAYMENT_WINDOW_SECONDS", "82801", "from 1 to 82800"),
        ("APP__ORDERS__MIN_TOTAL", "0.505", "an amount"),
        ("APP__ORDERS__MIN_TOTAL", "-1", "an amount"),
        ("APP__ORDERS__MAX_TOTAL", "1e6", "an amount"),
        ("APP__ORDERS__MAX_TOTAL", "0.49", "no less than APP__ORDERS__MIN_TOTAL"),
        ("APP__FRAUD__MAX_PENDING_ORDERS", "0", "from 1 to"),
        ("APP__FRAUD__MAX_UNITS_PER_PRODUCT", "0", "or off"),
        ("APP__STORE__CURRENCY", "JPY", "two decimals"),
        ("APP__STORE__CURRENCY", "usd", "two decimals"),
        ("APP__RATE_LIMIT__ENABLED", "1", "true or false"),
        ("APP__RATE_LIMIT__GLOBAL", "100", "count/period"),
        ("APP__RATE_LIMIT__CHECKOUT", "0/1h", "count/period"),
        ("APP__RATE_LIMIT__EXEMPT", "localhost", "CIDRs"),
        ("RUST_LOG", "info,=", "a level"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318", "http(s)://"),
    ] {
        let mistakes = load(&[("STRIPE_API_KEY", KEY), ("STRIPE_WEBHOOK_SECRET", WHSEC), (variable, value)]);
        let mistakes = mistakes.expect_err(&format!("{variable}={value} was taken")).0;
        assert_eq!(mistakes.len(), 1, "{mistakes:?}");
        assert_eq!(mistakes[0].name, variable);
        assert_eq!(mistakes[0].found, format!("is {value:?}"));
        assert!(mistakes[0].allowed.contains(allowed), "{mistakes:?}");
    }
}

#[test]
fn secrets_that_are_no_good_are_refused_without_being_shown() {
    let one_short = "whsec_abcdefghijklmnopqrstuvwxy";
    assert_eq!(one_short.len(), 31);
    for (variable, value) in [
        ("JWT_SECRET", "0123456789abcdef0123456789abcde"),
        ("APP__AUTH__PREVIOUS_JWT_SECRETS", "a-secret-of-at-least-thirty-two-bytes,hunter2"),
        ("STRIPE_API_KEY", "sk_test hunter2"),
        ("STRIPE_WEBHOOK_SECRET", one_short),
        ("STRIPE_WEBHOOK_SECRET", "hunter2_abcdefghijklmnopqrstuvwxyz"),
        ("APP__STRIPE__WEBHOOK_SECRETS", "whsec_abcdefghijklmnopqrstuvwxyz,whsec_hunter2"),
        ("APP__STRIPE__WEBHOOK_SECRETS", "whsec_abcdefghijklmnopqrstuvwxyz,"),
        ("DATABASE_URL", "mysql://root:hunter2@localhost/shop"),
        ("DATABASE_URL", "postgres://root:hunter2@localhost"),
        ("DATABASE_URL", "postgres://root:hunter2@localhost:port/shop"),
        ("DATABASE_URL", "host=localhost password=hunter2 dbname=shop"),
    ] {
        let error = load_in_production(&[(variable, value)]).expect_err(variable);
        assert_eq!(error.0.len(), 1, "{error}");
        assert_eq!(error.0[0].name, variable);
        assert_eq!(error.0[0].found, "is not allowed (its value is not shown)");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
}

#[test]
fn an_empty_value_is_a_mistake_for_every_variable_in_every_stage() {
    for stage in ["development", "test", "production"] {
        for key in KEYS {
            let variable = key.variable();
            let mut variables = PRODUCTION.to_vec();
            variables[0].1 = stage;
            variables.retain(|(name, _)| *name != variable);
            variables.push((&variable, ""));
            let error = load(&variables).expect_err(&variable);
            let names: Vec<_> = error.0.iter().map(|mistake| mistake.name.clone()).collect();
            assert_eq!(names, [variable], "in {stage}: {error}");
            assert_eq!(error.0[0].found, "is empty");
        }
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    let mistakes = names(load(&[
        ("APP_ENV", "staging"),
        ("APP__SERVER__PORT", "http"),
        ("APP__SEVER__PORT", "80"),
        ("APP__DATABASE__URL", DATABASE),
        ("APP__STORE__CURRENCY", "JPY"),
        ("DATABASE_URL", DATABASE),
        ("JWT_SECRET", "short"),
        ("STRIPE_API_KEY", KEY),
        ("STRIPE_WEBHOOK_SECRET", WHSEC),
    ]));
    let expected = [
        "APP_ENV",
        "APP__DATABASE__URL",
        "APP__SEVER__PORT",
        "APP__SERVER__PORT",
        "JWT_SECRET",
        "APP__STORE__CURRENCY",
    ];
    assert_eq!(mistakes, expected);
}

#[test]
fn a_variable_with_a_name_of_its_own_has_no_second_one() {
    let error = load(&[("APP__DATABASE__URL", DATABASE)]).unwrap_err();
    assert_eq!(error.0[0].allowed, "set DATABASE_URL instead");
}

#[test]
fn variables_of_others_are_left_alone() {
    load(&[("PATH", "/bin"), ("APP_ADMIN_PASSWORD", "x"), ("APPLE", "1"), ("HOME", "")]).unwrap();
}

#[test]
fn what_belongs_together_is_asked_for_together() {
    for (variables, missing) in [
        (vec![("STRIPE_API_KEY", KEY)], "STRIPE_WEBHOOK_SECRET"),
        (vec![("STRIPE_WEBHOOK_SECRET", WHSEC)], "STRIPE_API_KEY"),
        (vec![("APP__STRIPE__API_BASE", "http://127.0.0.1:4242")], "STRIPE_API_KEY"),
        (vec![("APP__STRIPE__WEBHOOK_SECRETS", WHSEC)], "STRIPE_WEBHOOK_SECRET"),
        (vec![("APP__FRAUD__MIN_ACCOUNT_AGE_SECONDS", "60")], "APP__FRAUD__MIN_AGE_ABOVE_TOTAL"),
        (vec![("APP__FRAUD__MIN_AGE_ABOVE_TOTAL", "1.00")], "APP__FRAUD__MIN_ACCOUNT_AGE_SECONDS"),
    ] {
        assert_eq!(names(load(&variables)), [missing], "{variables:?}");
    }
    let both = [("APP__FRAUD__MIN_ACCOUNT_AGE_SECONDS", "60"), ("APP__FRAUD__MIN_AGE_ABOVE_TOTAL", "1.00")];
    let rule = AccountAgeRule { min_age: Duration::from_mins(1), above_total_minor: 100 };
    assert_eq!(load(&both).unwrap().fraud.account_age, Some(rule));
}

#[test]
fn the_payment_window_is_longer_in_production() {
    let short = [("APP__ORDERS__PAYMENT_WINDOW_SECONDS", "299")];
    assert_eq!(load(&short).unwrap().orders.payment_window, Duration::from_secs(299));
    assert_eq!(names(load_in_production(&short)), ["APP__ORDERS__PAYMENT_WINDOW_SECONDS"]);
}

#[test]
fn the_key_goes_over_https_only_but_to_loopback_in_development() {
    let account = [("STRIPE_API_KEY", KEY), ("STRIPE_WEBHOOK_SECRET", WHSEC)];
    for base in ["http://127.0.0.1:4242", "http://localhost:4242/", "http://[::1]:1"] {
        let variable = [("APP__STRIPE__API_BASE", base)];
        let StripeSettings::Account(found) = load(&[&account[..], &variable].concat()).unwrap().stripe else {
            panic!("the simulator was chosen");
        };
        assert_eq!(found.api_base.as_deref(), Some(base.trim_end_matches('/')));
        assert_eq!(names(load_in_production(&variable)), ["APP__STRIPE__API_BASE"], "{base}");
    }
}

#[test]
fn the_current_webhook_secret_comes_before_the_rotated_ones() {
    let other = "whsec_zyxwvutsrqponmlkjihgfedcba";
    let settings = load_in_production(&[("APP__STRIPE__WEBHOOK_SECRETS", other)]).unwrap();
    let StripeSettings::Account(account) = settings.stripe else {
        panic!("the simulator was chosen in production");
    };
    let secrets: Vec<_> = account.webhook_secrets.iter().map(Secret::expose).collect();
    assert_eq!(secrets, [WHSEC, other]);
}

#[test]
fn later_sources_override_earlier_ones_key_by_key() {
    let port = |variables: &[(&str, &str)], files: &[(&str, &str)]| {
        load_beside(variables, files).unwrap().server.address.to_string()
    };
    let default = ("config/default.toml", "[server]\nport = 1\nhost = \"127.0.0.9\"\n");
    let stage = ("config/development.toml", "[server]\nport = 2\n");
    let dotenv = (".env", "APP__SERVER__PORT=3\n");
    let variable = ("APP__SERVER__PORT", "4");
    assert_eq!(port(&[], &[default]), "127.0.0.9:1");
    assert_eq!(port(&[], &[default, stage]), "127.0.0.9:2");
    assert_eq!(port(&[], &[default, stage, dotenv]), "127.0.0.9:3");
    assert_eq!(port(&[variable], &[default, stage, dotenv]), "127.0.0.9:4");
    assert_eq!(port(&[("APP_ENV", "test")], &[stage, dotenv]), "127.0.0.1:8080");
}

#[test]
fn a_file_of_the_folder_does_not_bring_back_what_the_stage_changed() {
    let default = ("config/default.toml", BUILT_IN);
    assert!(load_beside(&[], &[default]).unwrap().database.migrate_on_start);
}

const BUILT_IN: &str = sources::BUILT_IN_DEFAULTS;

#[test]
fn mistakes_in_files_name_the_key_and_the_file() {
    for (text, name, found) in [
        ("[server]\nport = 99999\n", "server.port in config/default.toml", "is \"99999\""),
        ("[server]\nprot = 1\n", "server.prot in config/default.toml", "is no setting"),
        ("[sever]\nport = 1\n", "sever.port in config/default.toml", "is no setting"),
        ("port = 1\n", "port in config/default.toml", "stands outside of a [section]"),
        ("[orders]\nmin_total = 0.5\n", "orders.min_total in config/default.toml", "has the wrong type"),
        ("[server]\nport = { a = 1 }\n", "server.port in config/default.toml", "has the wrong type"),
        ("[server]\ncors_origins = [1]\n", "server.cors_origins in config/default.toml", "has the wrong type"),
        ("[server]\npublic_url = \"\"\n", "server.public_url in config/default.toml", "is empty"),
    ] {
        let error = load_beside(&[], &[("config/default.toml", text)]).unwrap_err();
        assert_eq!((error.0[0].name.as_str(), error.0[0].found.as_str()), (name, found), "{error}");
        assert_eq!(error.0.len(), 1, "{error}");
    }
}

#[test]
fn a_file_that_is_no_toml_is_told_without_its_lines() {
    let text = "[auth]\njwt_secret = hunter2\n";
    let error = load_beside(&[], &[("config/default.toml", text)]).unwrap_err();
    assert_eq!(error.0[0].name, "config/default.toml");
    assert!(error.to_string().contains("line 2"), "{error}");
    assert!(!error.to_string().contains("hunter2"), "{error}");
}

#[test]
fn lists_in_files_are_lists() {
    let text = "[server]\ntrusted_proxies = [\"10.0.0.0/8\", \"::1\"]\n";
    let settings = load_beside(&[], &[("config/default.toml", text)]).unwrap();
    let proxies: Vec<_> = settings.server.trusted_proxies.iter().map(ToString::to_string).collect();
    assert_eq!(proxies, ["10.0.0.0/8", "::1/128"]);
}

#[test]
fn mistakes_in_dotenv_name_its_line() {
    let text = "# comment\nAPP__SERVER__PORT=x\nnonsense\nAPP_ENV=production\n";
    let expected = [".env, line 3", "APP_ENV in .env, line 4", "APP__SERVER__PORT in .env, line 2"];
    assert_eq!(names(load_beside(&[], &[(".env", text)])), expected);
}

#[test]
fn no_secret_shows_in_the_settings() {
    let more = [("APP__AUTH__PREVIOUS_JWT_SECRETS", JWT), ("APP__STRIPE__WEBHOOK_SECRETS", WHSEC)];
    let text = format!("{:?}", load_in_production(&more).unwrap());
    for secret in ["hunter2", JWT, KEY, WHSEC] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[test]
fn the_built_in_file_the_table_of_keys_and_the_code_agree() {
    let mut reader = Reader::new(Sources::gather(&Environment::default(), folder(&[]).path()));
    Settings::read(&mut reader).unwrap();
    let table: BTreeSet<_> = KEYS.iter().map(|key| key.path).collect();
    assert_eq!(reader.read_keys(), &table);

    let only_defaults = Sources::gather(&[("APP_ENV", "test")].into_iter().collect(), folder(&[]).path());
    let in_file: BTreeSet<_> = only_defaults.given.keys().copied().collect();
    assert_eq!(in_file, table);
}

/// `.env.example` as name → what stands after `=`, whether or not the line is commented out.
fn example() -> BTreeMap<String, String> {
    let text = include_str!("../../../../.env.example");
    let assignments = text.lines().filter_map(|line| {
        let (name, value) = line.trim_start_matches("# ").split_once('=')?;
        let is_name = name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
        is_name.then(|| (name.to_owned(), value.to_owned()))
    });
    assignments.collect()
}

#[test]
fn the_example_lists_every_variable_with_its_default() {
    let example = example();
    let others = ["APP_ENV", "APP_ADMIN_PASSWORD", "IRONCART_TEST_DATABASE_URL"].map(str::to_owned);
    let expected: BTreeSet<_> = KEYS.iter().map(|key| key.variable()).chain(others).collect();
    assert_eq!(example.keys().cloned().collect::<BTreeSet<_>>(), expected);

    let defaults = Sources::gather(&Environment::default(), folder(&[]).path()).given;
    for key in KEYS {
        // What has no default shows what it looks like.
        let default = &defaults[key.path].text;
        if !matches!(default.as_str(), "none" | "off") {
            assert_eq!(&example[&key.variable()], default, "{}", key.variable());
        }
    }
}

#[test]
fn the_example_changes_nothing_until_it_is_edited_and_is_right_when_uncommented() {
    let text = include_str!("../../../../.env.example");
    assert!(matches!(load_beside(&[], &[(".env", text)]).unwrap().stripe, StripeSettings::Simulator));

    let uncommented: Vec<_> = example().into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    let settings = load_beside(&[], &[(".env", &uncommented.join("\n"))]).unwrap();
    assert!(matches!(settings.stripe, StripeSettings::Account(_)));
}
