//! A stand-in for Stripe that answers at once: sessions are opened, shown and closed, and nothing is ever paid. On a
//! thread of its own, so that what it costs is told apart from what the load generator costs.

mod session;

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{LocalSet, spawn_local};

use self::session::Session;
use crate::error::{During as _, Step, StepFailed};

/// A running stand-in. It ends with the process.
pub(crate) struct StripeStandIn {
    pub(crate) address: SocketAddr,
    answered: Arc<AtomicU64>,
}

impl StripeStandIn {
    /// Starts one on a free port of the loopback interface.
    pub(crate) async fn start() -> Step<Self> {
        let answered = Arc::new(AtomicU64::new(0));
        let (tell, told) = oneshot::channel();
        let count = Arc::clone(&answered);
        let run = move || {
            // Whoever waits for the address learns of a failure by the channel's end.
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() else { return };
            LocalSet::new().block_on(&runtime, serve(tell, count));
        };
        thread::Builder::new().name("stripe".to_owned()).spawn(run).during("starting the stand-in for Stripe")?;
        let address = told.await.map_err(|_| StepFailed::new("starting the stand-in for Stripe", "it ended"))?;
        Ok(Self { address, answered })
    }

    /// How many requests it has answered.
    pub(crate) fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }
}

/// What it remembers.
#[derive(Default)]
struct Account {
    sessions: HashMap<String, Session>,
    /// The session that was made under an idempotency key.
    by_key: HashMap<String, String>,
}

async fn serve(tell: oneshot::Sender<SocketAddr>, answered: Arc<AtomicU64>) {
    let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await else { return };
    let Ok(address) = listener.local_addr() else { return };
    if tell.send(address).is_err() {
        return;
    }
    let account: Rc<RefCell<Account>> = Rc::default();
    while let Ok((stream, _)) = listener.accept().await {
        let (account, answered) = (Rc::clone(&account), Arc::clone(&answered));
        // A connection that breaks is the shop's to open again.
        spawn_local(async move { converse(stream, &account, &answered).await });
    }
}

async fn converse(mut stream: TcpStream, account: &RefCell<Account>, answered: &AtomicU64) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut input = Vec::with_capacity(8 * 1024);
    loop {
        let request = loop {
            if let Some(request) = Request::read(&input)? {
                break request;
            }
            if stream.read_buf(&mut input).await? == 0 {
                return Ok(());
            }
        };
        let (status, body) = account.borrow_mut().answer(&request);
        input.drain(..request.length);
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nRequest-Id: req_bench\r\n\r\n",
            body.len()
        );
        stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()).await?;
        answered.fetch_add(1, Ordering::Relaxed);
    }
}

/// A whole request.
#[derive(Debug, PartialEq, Eq)]
struct Request {
    is_post: bool,
    path: String,
    idempotency_key: Option<String>,
    form: String,
    /// Bytes of head and body.
    length: usize,
}

impl Request {
    /// The request at the beginning of `bytes`; `None` if its end has not come yet.
    fn read(bytes: &[u8]) -> std::io::Result<Option<Self>> {
        let broken = |error: Box<dyn std::error::Error + Send + Sync>| std::io::Error::other(error);
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut request = httparse::Request::new(&mut headers);
        let head = match request.parse(bytes).map_err(|error| broken(error.into()))? {
            httparse::Status::Complete(length) => length,
            httparse::Status::Partial => return Ok(None),
        };
        let header = |name: &str| {
            let found = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
            found.and_then(|header| std::str::from_utf8(header.value).ok())
        };
        let body = header("content-length").map_or(Ok(0), str::parse).map_err(|_| broken("Content-Length".into()))?;
        let Some(form) = bytes.get(head..head + body) else { return Ok(None) };
        Ok(Some(Self {
            is_post: request.method == Some("POST"),
            path: request.path.unwrap_or_default().split('?').next().unwrap_or_default().to_owned(),
            idempotency_key: header("idempotency-key").map(str::to_owned),
            form: String::from_utf8_lossy(form).into_owned(),
            length: head + body,
        }))
    }
}

impl Account {
    /// The status line's end and the body.
    fn answer(&mut self, request: &Request) -> (&'static str, String) {
        const SESSIONS: &str = "/v1/checkout/sessions";

        let rest = request.path.strip_prefix(SESSIONS).map(|rest| rest.trim_start_matches('/'));
        let shown = match rest {
            Some("") if request.is_post => Some(self.open(request)),
            Some("") | None if !request.is_post => {
                return (
                    "200 OK",
                    format!(r#"{{"object":"list","data":[],"has_more":false,"url":"{}"}}"#, request.path),
                );
            }
            Some(named) => match (named.strip_suffix("/expire"), request.is_post) {
                (Some(id), true) => self.sessions.get_mut(id).map(Session::close),
                (None, false) => self.sessions.get(named).map(Session::to_json),
                _ => None,
            },
            None => None,
        };
        match shown {
            Some(session) => ("200 OK", session),
            None => (
                "404 Not Found",
                r#"{"error":{"type":"invalid_request_error","code":"resource_missing","message":"no such thing"}}"#
                    .to_owned(),
            ),
        }
    }

    fn open(&mut self, request: &Request) -> String {
        let known = request.idempotency_key.as_ref().and_then(|key| self.by_key.get(key));
        if let Some(session) = known.and_then(|id| self.sessions.get(id)) {
            return session.to_json();
        }
        let session = Session::of_form(&request.form, self.sessions.len() + 1);
        let json = session.to_json();
        if let Some(key) = &request.idempotency_key {
            self.by_key.insert(key.clone(), session.id.clone());
        }
        self.sessions.insert(session.id.clone(), session);
        json
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const FORM: &str = "client_reference_id=o-1&customer_email=a%40b.example&expires_at=1800000000\
                        &line_items[0][price_data][unit_amount]=250&line_items[0][quantity]=3\
                        &line_items[1][price_data][unit_amount]=100&line_items[1][quantity]=1\
                        &metadata[attemptId]=a-1&metadata[orderId]=o-1&success_url=http%3A%2F%2Fs%2F%3Fa%3D1&cancel_url=http%3A%2F%2Fc";

    fn post(path: &str, key: &str, form: &str) -> Request {
        let text = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nIdempotency-Key: {key}\r\nContent-Length: {}\r\n\r\n{form}",
            form.len()
        );
        let request = Request::read(text.as_bytes()).unwrap().unwrap();
        assert_eq!(request.length, text.len());
        request
    }

    fn json(text: &str) -> serde_json::Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_session_says_what_it_was_asked_for() {
        let mut account = Account::default();
        let (status, body) = account.answer(&post("/v1/checkout/sessions", "k", FORM));
        let session = json(&body);
        assert_eq!((status, &session["status"]), ("200 OK", &"open".into()));
        assert_eq!((&session["amount_total"], &session["expires_at"]), (&850.into(), &1_800_000_000.into()));
        assert_eq!(
            (&session["metadata"]["orderId"], &session["metadata"]["attemptId"]),
            (&"o-1".into(), &"a-1".into())
        );
        assert_eq!(
            (&session["customer_email"], &session["success_url"]),
            (&"a@b.example".into(), &"http://s/?a=1".into())
        );
    }

    #[test]
    fn one_key_makes_one_session() {
        let mut account = Account::default();
        let bodies = ["k", "k", "other"].map(|key| account.answer(&post("/v1/checkout/sessions", key, FORM)).1);
        let ids = bodies.map(|body| json(&body)["id"].as_str().unwrap().to_owned());
        assert_eq!(ids[0], ids[1]);
        assert_ne!(ids[0], ids[2]);
    }

    #[test]
    fn a_closed_session_is_expired_and_has_no_page() {
        let mut account = Account::default();
        let opened = json(&account.answer(&post("/v1/checkout/sessions", "k", FORM)).1);
        let path = format!("/v1/checkout/sessions/{}", opened["id"].as_str().unwrap());
        let closed = json(&account.answer(&post(&format!("{path}/expire"), "", "")).1);
        assert_eq!((&closed["status"], &closed["url"]), (&"expired".into(), &serde_json::Value::Null));
        let head = format!("GET {path}?expand[0]=payment_intent HTTP/1.1\r\nHost: x\r\n\r\n");
        let get = Request::read(head.as_bytes()).unwrap().unwrap();
        assert_eq!(json(&account.answer(&get).1), closed);
    }

    #[test]
    fn what_is_not_there_is_a_404_in_stripes_words() {
        let (status, body) = Account::default().answer(&post("/v1/checkout/sessions/cs_1/expire", "", ""));
        assert_eq!((status, &json(&body)["error"]["code"]), ("404 Not Found", &"resource_missing".into()));
    }

    #[test]
    fn half_a_request_is_waited_for() {
        assert_eq!(Request::read(b"POST /v1/x HTTP/1.1\r\nContent-Length: 3\r\n\r\nab").unwrap(), None);
        assert_eq!(Request::read(b"POST /v1/x HTT").unwrap(), None);
    }
}
