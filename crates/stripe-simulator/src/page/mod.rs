//! The hosted payment page: what a customer sees at a session's `url`. Plain forms, no script; every POST ends in a
//! redirect.

mod html;
mod views;

use hyper::Method;

use crate::account::event::Cause;
use crate::account::payment::IntentStatus;
use crate::account::session::{Session, SessionStatus};
use crate::account::{Operation, PaymentTerms};
use crate::error::ApiError;
use crate::form::Node;
use crate::http::{Incoming, Reply};
use crate::simulation::Simulation;

/// Nothing is loaded from elsewhere but product pictures, and nothing runs.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' http: https: data:; \
                                       base-uri 'none'; frame-ancestors 'none'";

pub(crate) fn handle(simulation: &Simulation, request: &Incoming) -> Reply {
    let segments = request.segments();
    let reply = match (&request.method, segments.as_slice()) {
        (&Method::GET, []) => overview(simulation),
        (&Method::GET, ["assets", "pay.css"]) => return Reply::stylesheet(include_str!("style.css")),
        (&Method::GET, ["pay", "c", id]) => show(simulation, request, id),
        (&Method::POST, ["pay", "c", id, action]) => act(simulation, request, id, action),
        _ => Reply::html(404, views::not_found(&simulation.settings.shop_name)),
    };
    reply
        .header("content-security-policy", CONTENT_SECURITY_POLICY)
        .header("x-content-type-options", "nosniff")
        .header("referrer-policy", "no-referrer")
        .header("cache-control", "no-store")
}

/// What the page says about a session.
pub(crate) enum Stage {
    /// It can be paid.
    Open,
    /// It has been paid.
    Paid,
    /// A delayed payment is on its way.
    Awaiting,
    /// A delayed payment did not arrive.
    Failed,
    Expired,
}

fn stage(operation: &Operation<'_>, session: &Session) -> Stage {
    match session.status {
        SessionStatus::Open => Stage::Open,
        SessionStatus::Expired => Stage::Expired,
        SessionStatus::Complete if session.is_paid => Stage::Paid,
        SessionStatus::Complete => {
            let intent = session.shown_intent().and_then(|id| operation.account.intents.get(id));
            if intent.is_some_and(|intent| intent.status == IntentStatus::Processing) {
                Stage::Awaiting
            } else {
                Stage::Failed
            }
        }
    }
}

fn overview(simulation: &Simulation) -> Reply {
    let html = simulation.operate(Cause::default(), |operation| {
        let sessions: Vec<(&Session, Stage)> = operation
            .account
            .sessions
            .newest_first()
            .take(views::OVERVIEW_SESSIONS)
            .map(|session| (session, stage(operation, session)))
            .collect();
        views::overview(&simulation.settings.shop_name, &sessions)
    });
    Reply::html(200, html)
}

fn show(simulation: &Simulation, request: &Incoming, id: &str) -> Reply {
    let shop = &simulation.settings.shop_name;
    simulation.operate(Cause::default(), |operation| {
        let Some(session) = operation.account.sessions.get(id) else {
            return Reply::html(404, views::unknown_session(shop));
        };
        let notice = views::Notice::from_query(&request.query);
        let html = match stage(operation, session) {
            Stage::Open => views::payment(shop, session, operation.now, notice),
            Stage::Paid => views::paid(shop, session),
            Stage::Awaiting => views::awaiting(shop, session),
            Stage::Failed => views::failed(shop, session),
            Stage::Expired => views::expired(shop, session),
        };
        Reply::html(200, html)
    })
}

/// Does what a button asks for. A session that is no longer open shows itself as it is instead.
fn act(simulation: &Simulation, request: &Incoming, id: &str, action: &str) -> Reply {
    let page = format!("/pay/c/{id}");
    let form = Node::parse(&request.body).unwrap_or_else(|_| Node::empty());
    simulation.operate(Cause::default(), |operation| {
        let Some(session) = operation.account.sessions.get(id) else {
            return Reply::html(404, views::unknown_session(&simulation.settings.shop_name));
        };
        let return_url = session.return_url();
        let terms = match read_email(&form, session) {
            Ok(email) => PaymentTerms { email, ..PaymentTerms::default() },
            Err(InvalidEmail) if matches!(action, "pay" | "decline" | "pay-later") => {
                return Reply::see_other(&format!("{page}?notice=email"));
            }
            Err(InvalidEmail) => PaymentTerms::default(),
        };
        let (done, next): (Result<(), ApiError>, &str) = match action {
            "pay" => (operation.pay_session(id, &terms), &return_url),
            "pay-later" => (operation.complete_session_unpaid(id, &terms), &return_url),
            "decline" => (operation.decline_session(id, &terms), &format!("{page}?notice=declined")),
            "settle" => (operation.settle_session(id), &page),
            "fail" => (operation.fail_session(id), &page),
            _ => return Reply::html(404, views::not_found(&simulation.settings.shop_name)),
        };
        Reply::see_other(if done.is_ok() { next } else { &page })
    })
}

struct InvalidEmail;

/// The e-mail typed in, where the shop has not given one.
fn read_email(form: &Node, session: &Session) -> Result<Option<String>, InvalidEmail> {
    if session.customer_email.is_some() {
        return Ok(None);
    }
    match form.get("email") {
        Some(Node::Text(email)) if email.contains('@') && email.len() <= 254 => Ok(Some(email.trim().to_owned())),
        _ => Err(InvalidEmail),
    }
}
