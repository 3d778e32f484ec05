//! `JWT_SECRET` is rotated as docs/OPERATIONS.md says, one instance after the other and under load: nobody is logged
//! out, and no request is refused.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures_util::future::join_all;
use ironcart_tests::http::{Http, Reply};
use ironcart_tests::process::App;
use ironcart_tests::shop::JWT_SECRET;
use ironcart_tests::site::{Site, SitePlan};
use ironcart_tests::wait::until;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::{Mutex, RwLock};

const NEXT: &str = "another-secret-of-at-least-as-many-bytes";
const CLIENTS: usize = 4;

/// What a load balancer does: an instance that is to stop gets no more requests, and those under way end first.
struct Balancer {
    http: Http,
    in_service: [RwLock<bool>; 2],
    turn: AtomicUsize,
}

impl Balancer {
    async fn get_me(&self, token: &str) -> Reply {
        self.send(&self.http.bearing(token), Method::GET, "/users/me", None).await
    }

    async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send(&self.http, Method::POST, path, Some(body.clone())).await
    }

    async fn send(&self, caller: &Http, method: Method, path: &str, body: Option<Value>) -> Reply {
        loop {
            let instance = self.turn.fetch_add(1, Ordering::Relaxed) % self.in_service.len();
            let in_service = self.in_service[instance].read().await;
            if *in_service {
                return caller.only(instance).try_send(method, path, body).await.expect("an answer");
            }
        }
    }
}

#[derive(Default)]
struct Seen {
    answers: AtomicUsize,
    refused: Mutex<Vec<String>>,
    /// The keys that signed tokens, by their names.
    keys: Mutex<HashSet<String>>,
    is_over: AtomicBool,
}

fn key_id(token: &str) -> String {
    token.split('.').next().unwrap().to_owned()
}

/// Logs in, and from then on asks who it is and renews its tokens.
async fn client(balancer: Arc<Balancer>, seen: Arc<Seen>, number: usize) {
    let who = json!({ "email": format!("client{number}@example.com"), "password": "Corr3ct-horse" });
    let _new = balancer.post("/auth/register", &who).await.expect(201);
    let mut tokens = balancer.post("/auth/login", &who).await.expect(200).json();
    for round in 1.. {
        let token = tokens["accessToken"].as_str().unwrap().to_owned();
        seen.keys.lock().await.insert(key_id(&token));
        let answer = balancer.get_me(&token).await;
        seen.answers.fetch_add(1, Ordering::SeqCst);
        if answer.status != 200 {
            seen.refused.lock().await.push(answer.text);
        }
        if round % 5 == 0 {
            let old = json!({ "refreshToken": tokens["refreshToken"] });
            let renewed = balancer.post("/auth/refresh", &old).await;
            if renewed.status != 200 {
                seen.refused.lock().await.push(renewed.text);
                return;
            }
            tokens = renewed.json();
        }
        if seen.is_over.load(Ordering::SeqCst) {
            return;
        }
    }
}

/// Restarts one instance after the other with these secrets.
async fn deploy(site: &mut Site, apps: &mut Vec<App>, balancer: &Balancer, current: &str, previous: &str) {
    for number in 0..2 {
        *balancer.in_service[number].write().await = false;
        let app = apps.remove(0);
        assert!(app.is_terminated().await.success());
        let environment = &mut site.instances[number].environment;
        environment.push(("JWT_SECRET", current.to_owned()));
        environment.push(("APP__AUTH__PREVIOUS_JWT_SECRETS", previous.to_owned()));
        apps.push(site.instances[number].serve().await);
        *balancer.in_service[number].write().await = true;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_rotated_under_load_without_a_refused_request() {
    let (mut site, mut apps) = Site::open(SitePlan { instances: 2, ..SitePlan::default() }).await;
    let in_service = [RwLock::new(true), RwLock::new(true)];
    let balancer = Arc::new(Balancer { http: site.http.clone(), in_service, turn: AtomicUsize::default() });
    let seen = Arc::<Seen>::default();
    let from_before = site.customers(1).await.pop().unwrap();
    let _me = from_before.http.get("/users/me").await.expect(200);
    let clients: Vec<_> =
        (0..CLIENTS).map(|number| tokio::spawn(client(Arc::clone(&balancer), Arc::clone(&seen), number))).collect();
    until("all are at it", async || seen.answers.load(Ordering::SeqCst) > 20).await;

    // All instances must know the new key before the first one signs with it.
    deploy(&mut site, &mut apps, &balancer, JWT_SECRET, NEXT).await;
    assert_eq!(seen.keys.lock().await.len(), 1);
    deploy(&mut site, &mut apps, &balancer, NEXT, JWT_SECRET).await;
    until("both keys have signed", async || seen.keys.lock().await.len() == 2).await;
    let _me = from_before.http.get("/users/me").await.expect(200);
    // The old key goes when what it signed has expired: here, when everybody has renewed.
    seen.keys.lock().await.clear();
    let renewed = seen.answers.load(Ordering::SeqCst) + 20 * CLIENTS;
    until("everybody has renewed", async || seen.answers.load(Ordering::SeqCst) > renewed).await;
    seen.keys.lock().await.clear();
    until("they go on", async || seen.answers.load(Ordering::SeqCst) > renewed + 20).await;
    assert_eq!(seen.keys.lock().await.len(), 1, "only the new key signs");
    deploy(&mut site, &mut apps, &balancer, NEXT, "none").await;

    seen.is_over.store(true, Ordering::SeqCst);
    join_all(clients).await.into_iter().for_each(|ended| ended.unwrap());
    assert_eq!(*seen.refused.lock().await, Vec::<String>::new());
    from_before.http.get("/users/me").await.is_problem(401, "unauthenticated");
    println!("{} answers while three deployments went by", seen.answers.load(Ordering::SeqCst));
    site.ends(apps).await;
}
