//! A server that answers by a script and remembers what it was asked.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::HeaderMap;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What becomes of one request.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// It is answered.
    Answer { status: u16, headers: Vec<(&'static str, String)>, body: String },
    /// The connection is closed without an answer.
    Cut,
    /// No answer ever comes.
    Silence,
}

impl Step {
    pub(crate) fn raw(status: u16, body: &str) -> Self {
        Self::Answer { status, headers: vec![("request-id", "req_1".into())], body: body.into() }
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        if let Self::Answer { headers, .. } = &mut self {
            headers.push((name, value.into()));
        }
        self
    }
}

pub(crate) fn answer(body: &Value) -> Step {
    Step::raw(200, &body.to_string())
}

pub(crate) fn error(status: u16, kind: &str, code: &str) -> Step {
    Step::raw(status, &json!({ "error": { "type": kind, "code": code, "message": "No." } }).to_string())
}

/// An open session in the least form that Stripe's own types take, with these changes.
pub(crate) fn session(changes: &Value) -> Value {
    let mut session = json!({ "id": "cs_1", "object": "checkout.session", "amount_total": 4998, "currency": "eur",
        "automatic_tax": { "enabled": false }, "created": 1_730_616_045, "custom_fields": [], "custom_text": {},
        "expires_at": 1_730_617_902, "livemode": false, "metadata": {}, "mode": "payment", "payment_intent": null,
        "payment_method_types": ["card"], "payment_status": "unpaid", "shipping_options": [], "status": "open",
        "url": "https://pay.example/cs_1" });
    session.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    session
}

/// A payment intent in this status.
pub(crate) fn intent(status: &str) -> Value {
    json!({ "id": "pi_1", "object": "payment_intent", "amount": 4998, "amount_capturable": 0, "amount_received": 0, "capture_method": "automatic",
        "confirmation_method": "automatic", "created": 1_730_616_045, "currency": "eur", "livemode": false,
        "metadata": {}, "payment_method_types": ["card"], "status": status })
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Recorded {
    /// The number of its connection, from 0.
    pub(crate) connection: usize,
    pub(crate) method: String,
    /// Path and query, unescaped.
    pub(crate) target: String,
    headers: HeaderMap,
    pub(crate) body: String,
}

impl Recorded {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The pairs of its form, unescaped.
    pub(crate) fn form(&self) -> Vec<(String, String)> {
        serde_urlencoded::from_str(&self.body).unwrap()
    }
}

#[derive(Default)]
struct Script {
    steps: VecDeque<Step>,
    recorded: Vec<Recorded>,
}

/// Runs until it is dropped. A request beyond the script is answered 501, which no test expects.
pub(crate) struct ScriptedStripe {
    address: SocketAddr,
    script: Arc<Mutex<Script>>,
    _server: JoinSet<()>,
}

impl ScriptedStripe {
    pub(crate) async fn start(steps: impl IntoIterator<Item = Step>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let script = Arc::new(Mutex::new(Script { steps: steps.into_iter().collect(), recorded: vec![] }));
        let mut server = JoinSet::new();
        server.spawn(accept(listener, Arc::clone(&script)));
        Self { address, script, _server: server }
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Adds to the script.
    pub(crate) fn then(&self, steps: impl IntoIterator<Item = Step>) {
        self.script.lock().unwrap().steps.extend(steps);
    }

    pub(crate) fn recorded(&self) -> Vec<Recorded> {
        self.script.lock().unwrap().recorded.clone()
    }
}

async fn accept(listener: TcpListener, script: Arc<Mutex<Script>>) {
    let mut connections = JoinSet::new();
    for number in 0.. {
        let (stream, _) = listener.accept().await.unwrap();
        connections.spawn(serve(stream, number, Arc::clone(&script)));
    }
}

async fn serve(stream: TcpStream, connection: usize, script: Arc<Mutex<Script>>) {
    let service = service_fn(move |request| {
        let script = Arc::clone(&script);
        async move { play(request, connection, &script).await }
    });
    // A cut connection is an error here, and wanted.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

#[derive(Debug, thiserror::Error)]
#[error("cut")]
struct Cut;

async fn play(
    request: Request<Incoming>,
    connection: usize,
    script: &Mutex<Script>,
) -> Result<Response<Full<Bytes>>, Cut> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
    let step = {
        let mut script = script.lock().unwrap();
        script.recorded.push(Recorded {
            connection,
            method: head.method.to_string(),
            target: unescaped(&head.uri.to_string()),
            headers: head.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        });
        script.steps.pop_front()
    };
    match step.unwrap_or_else(|| Step::raw(501, "beyond the script")) {
        Step::Cut => Err(Cut),
        Step::Silence => {
            let never: Infallible = std::future::pending().await;
            match never {}
        }
        Step::Answer { status, headers, body } => {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            Ok(response.body(Full::from(body)).unwrap())
        }
    }
}

/// As far as the tests' own targets need it.
fn unescaped(target: &str) -> String {
    target.replace("%5B", "[").replace("%5D", "]")
}
