//! Traces and logs of a whole run in a process of its own: what belongs together carries one id, and neither shows a
//! secret or anything about a person.

use ironcart_tests::collector::{Collector, Seen};
use ironcart_tests::http::Http;
use ironcart_tests::shop::{JWT_SECRET, WEBHOOK_SECRET};
use ironcart_tests::site::{Site, SitePlan};
use ironcart_tests::wait::until;
use serde_json::{Value, json};

const EMAIL: &str = "penelope.quibble@example.com";
const NAME: &str = "Penelope Quibble";
const PASSWORD: &str = "Xyl0phone-Sunset";
const OTHER_PASSWORD: &str = "Marmalade-4-Tea";
const ADDRESS: &str = "77 Unmistakable Crescent, Ambridge";
/// As a proxy in front would send it.
const CALLERS_TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLERS_SPAN: &str = "00f067aa0ba902b7";

/// What no log and no trace may show.
#[derive(Default)]
struct Private(Vec<String>);

impl Private {
    fn keep(&mut self, answer: &Value, field: &str) -> String {
        let value = answer[field].as_str().unwrap_or_else(|| panic!("no {field} in {answer}")).to_owned();
        self.0.push(value.clone());
        value
    }

    /// Tokens are three parts, each of which says something.
    fn found_in(&self, text: &str) -> Vec<String> {
        let given =
            [EMAIL, "quibble", NAME, PASSWORD, OTHER_PASSWORD, ADDRESS, "Unmistakable", JWT_SECRET, WEBHOOK_SECRET];
        let more = ["sk_test_ironcart", "$argon2", "Bearer ", "v1="];
        let kept = self.0.iter().flat_map(|value| value.split('.')).filter(|part| part.len() > 20);
        let all = given.into_iter().chain(more).chain(kept);
        let lower = text.to_lowercase();
        all.filter(|secret| lower.contains(&secret.to_lowercase())).map(str::to_owned).collect()
    }
}

/// Sends a request as part of a caller's trace.
async fn place_traced(base: &str, token: &str) -> Value {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.post(format!("{base}/api/v1/orders")).bearer_auth(token);
    let request = request.header("traceparent", format!("00-{CALLERS_TRACE}-{CALLERS_SPAN}-01"));
    let answer = request.json(&json!({ "shippingAddress": ADDRESS })).send().await.unwrap();
    assert_eq!(answer.status(), 201);
    answer.json().await.unwrap()
}

/// One person's whole visit: registers, errs, logs in, orders, pays, changes the password, logs out.
async fn visit(site: &Site, private: &mut Private) -> String {
    let http: &Http = &site.http;
    let product = site.admin().await.sells("Mug", "10.00", 5).await;
    let register = json!({ "email": EMAIL, "password": PASSWORD, "name": NAME });
    let _new = http.post("/auth/register", register.clone()).await.expect(201);
    http.post("/auth/register", register).await.is_problem(409, "email_taken");
    let wrong = json!({ "email": EMAIL, "password": OTHER_PASSWORD });
    http.post("/auth/login", wrong).await.is_problem(401, "invalid_credentials");
    let tokens = http.post("/auth/login", json!({ "email": EMAIL, "password": PASSWORD })).await.expect(200).json();
    let token = private.keep(&tokens, "accessToken");
    let refresh = private.keep(&tokens, "refreshToken");
    let customer = http.bearing(&token);
    let _cart = customer.post("/cart/items", json!({ "productId": product.id, "quantity": 1 })).await.expect(200);
    let order = place_traced(&site.instances[0].base(), &token).await;
    let url = order["payment"]["checkoutUrl"].as_str().unwrap();
    let _paid = http.press(&format!("{url}/pay")).await;
    let path = format!("/orders/{}", order["id"].as_str().unwrap());
    until("the order is paid", async || customer.get(&path).await.json()["status"] == "PAID").await;
    let broken = json!({ "shippingAddress": ADDRESS, "e-mail": EMAIL });
    customer.post("/orders", broken).await.is_problem(422, "validation_failed");
    let renewed = http.post("/auth/refresh", json!({ "refreshToken": refresh })).await.expect(200).json();
    let token = private.keep(&renewed, "accessToken");
    let refresh = private.keep(&renewed, "refreshToken");
    let change = json!({ "oldPassword": PASSWORD, "newPassword": OTHER_PASSWORD });
    let _changed = http.bearing(&token).post("/auth/change-password", change).await.expect(204);
    let _out = http.post("/auth/logout", json!({ "refreshToken": refresh })).await.expect(204);
    http.bearing(&token).get("/users/me").await.is_problem(401, "unauthenticated");
    let listed = site.admin().await.http.get(&format!("/admin/users?email={EMAIL}")).await.expect(200).json();
    assert_eq!(listed["items"][0]["email"], EMAIL, "else the search is not in the logs for a wrong reason");
    order["id"].as_str().unwrap().to_owned()
}

/// The names on the way from a span up to its trace's root.
fn way_up<'a>(spans: &'a [Seen], from: &'a Seen) -> Vec<&'a str> {
    let mut way = vec![from.name()];
    let mut at = from;
    while let Some(parent) = spans.iter().find(|span| span.id() == at.parent_id()) {
        way.push(parent.name());
        at = parent;
    }
    way
}

async fn traced_run(environment: &[(&'static str, &str)], private: &mut Private) -> (Vec<Seen>, String, String) {
    let collector = Collector::start();
    let mut settings = vec![("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint().to_owned())];
    settings.push(("OTEL_BSP_SCHEDULE_DELAY", "100".to_owned()));
    settings.extend(environment.iter().map(|(name, value)| (*name, (*value).to_owned())));
    let (site, apps) = Site::open(SitePlan { environment: settings, ..SitePlan::default() }).await;
    let order_id = visit(&site, private).await;
    let log = {
        for app in apps {
            // What is not sent yet is sent before it ends.
            assert!(app.is_terminated().await.success());
        }
        site.instances[0].log_text()
    };
    assert!(log.len() > 1000, "hardly anything was logged: {log}");
    let (spans, text) = (collector.spans(), collector.text());
    site.ends(Vec::new()).await;
    assert!(!spans.is_empty(), "nothing came: {log}");
    let _order = order_id;
    (spans, text, log)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_request_is_one_trace_from_the_edge_to_sql_and_the_provider_and_its_id_is_in_the_log() {
    let (spans, _, log) = traced_run(&[("RUST_LOG", "info")], &mut Private::default()).await;
    let of_request: Vec<Seen> = spans.iter().filter(|span| span.trace_id() == CALLERS_TRACE).cloned().collect();
    let named = |name: &str| of_request.iter().find(|span| span.name() == name);
    let names: Vec<&str> = of_request.iter().map(Seen::name).collect();
    let root = named("POST /api/v1/orders").unwrap_or_else(|| panic!("no root in {names:?}"));
    assert_eq!(root.parent_id(), CALLERS_SPAN);
    assert_eq!(root.attribute("http.route").as_deref(), Some("StringValue(\"/api/v1/orders\")"));
    assert_eq!(root.attribute("http.response.status_code").as_deref(), Some("IntValue(201)"));
    for port in
        ["place", "OrderRepository.place", "batch", "provider.open_session", "Stripe", "SQL:INSERT", "SQL:COMMIT"]
    {
        let found = of_request.iter().find(|span| match port.strip_prefix("SQL:") {
            Some(verb) => span.attribute("db.query.text").is_some_and(|sql| sql.contains(verb)),
            None => span.name() == port,
        });
        let found = found.unwrap_or_else(|| panic!("no {port} in {names:?}"));
        assert_eq!(way_up(&of_request, found).last(), Some(&"POST /api/v1/orders"), "{port}");
    }
    let answered = |line: &&str| line.contains("answered") && line.contains(&format!("trace_id={CALLERS_TRACE}"));
    assert_eq!(log.lines().filter(answered).count(), 1, "{log}");
    assert!(log.lines().filter(|line| line.contains("answered")).all(|line| line.contains("trace_id=")), "{log}");
    // Loops that look each second whether there is something to do leave no traces of nothing.
    let roots = spans.iter().filter(|span| span.parent_id().is_empty() && span.attribute("db.query.text").is_some());
    assert_eq!(roots.map(Seen::name).collect::<Vec<_>>(), Vec::<&str>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_logs_nor_traces_show_a_secret_or_anything_about_a_person() {
    let mut private = Private::default();
    let (_, traces, log) = traced_run(&[("RUST_LOG", "debug")], &mut private).await;
    assert!(private.0.len() >= 4 && log.contains("DEBUG"), "{log}");
    assert_eq!(private.found_in(&log), Vec::<String>::new(), "{log}");
    assert_eq!(private.found_in(&traces), Vec::<String>::new());
    assert_eq!(private.found_in(&format!("{log}{EMAIL}")), [EMAIL, "quibble"], "the search finds what is there");
}
