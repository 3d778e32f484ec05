//! The pages' words and layout.

use super::Stage;
use super::html::{document, escape, header};
use crate::account::money::display;
use crate::account::session::{LineItem, Session};

/// Sessions on the overview.
pub(crate) const OVERVIEW_SESSIONS: usize = 50;

const LOCK: &str = r#"<svg class="lock" viewBox="0 0 16 16" width="14" height="14" aria-hidden="true"><path fill="currentColor" d="M8 1a3.5 3.5 0 0 0-3.5 3.5V6H4a1.5 1.5 0 0 0-1.5 1.5v6A1.5 1.5 0 0 0 4 15h8a1.5 1.5 0 0 0 1.5-1.5v-6A1.5 1.5 0 0 0 12 6h-.5V4.5A3.5 3.5 0 0 0 8 1Zm2 5H6V4.5a2 2 0 1 1 4 0V6Z"/></svg>"#;
const TICK: &str = r#"<svg viewBox="0 0 48 48" width="56" height="56" aria-hidden="true"><circle cx="24" cy="24" r="24" class="disc-good"/><path d="M14 25l7 7 14-15" class="stroke"/></svg>"#;
const CLOCK: &str = r#"<svg viewBox="0 0 48 48" width="56" height="56" aria-hidden="true"><circle cx="24" cy="24" r="24" class="disc-wait"/><path d="M24 13v12l8 5" class="stroke"/></svg>"#;
const CROSS: &str = r#"<svg viewBox="0 0 48 48" width="56" height="56" aria-hidden="true"><circle cx="24" cy="24" r="24" class="disc-bad"/><path d="M16 16l16 16M32 16L16 32" class="stroke"/></svg>"#;

/// What the page has to say about the last attempt.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Notice {
    Nothing,
    Declined,
    EmailMissing,
}

impl Notice {
    pub(crate) fn from_query(query: &str) -> Self {
        match query {
            "notice=declined" => Self::Declined,
            "notice=email" => Self::EmailMissing,
            _ => Self::Nothing,
        }
    }

    fn to_html(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Declined => {
                r#"<p class="notice" role="alert"><strong>Your card was declined.</strong> Nothing was charged. Try again or pay another way.</p>"#
            }
            Self::EmailMissing => {
                r#"<p class="notice" role="alert"><strong>Please enter your e-mail address.</strong> The receipt is sent there.</p>"#
            }
        }
    }
}

/// The page of an open session.
pub(crate) fn payment(shop: &str, session: &Session, now: i64, notice: Notice) -> String {
    let total = display(session.amount_total, &session.currency);
    let body = format!(
        r#"{header}
<main class="checkout">
<section class="summary" aria-label="Order summary">
{leave}
<p class="payee">Pay {shop_name}</p>
<p class="total">{total}</p>
<ul class="lines">{lines}</ul>
<dl class="sums"><div><dt>Subtotal</dt><dd>{total}</dd></div><div class="due"><dt>Total due</dt><dd>{total}</dd></div></dl>
</section>
<section class="pay" aria-label="Payment">
<h1>Payment</h1>
{notice}
{form}
<p class="assurance">{LOCK} Simulated: no money moves.</p>
<p class="expiry">{expiry}</p>
</section>
</main>"#,
        header = header(shop),
        leave = leave_link(shop, session, "back"),
        shop_name = escape(shop),
        lines = lines(&session.line_items),
        notice = notice.to_html(),
        form = payment_form(session, &total),
        expiry = expiry_text(session.expires_at - now),
    );
    document(&format!("Pay {shop}"), &body)
}

fn payment_form(session: &Session, total: &str) -> String {
    let id = escape(&session.id);
    let email = match &session.customer_email {
        Some(email) => format!(
            r#"<div class="field"><span class="label">E-mail</span><span class="fixed">{}</span></div>"#,
            escape(email)
        ),
        None => r#"<div class="field"><label class="label" for="email">E-mail</label><input id="email" name="email" type="email" autocomplete="email" maxlength="254" placeholder="you@example.com" required></div>"#.to_owned(),
    };
    format!(
        r#"<form method="post" action="/pay/c/{id}/pay">
{email}
<div class="field"><span class="label">Card</span><div class="card"><span class="brand">VISA</span><span class="digits">•••• 4242</span><span class="until">12 / 34</span></div></div>
<button class="primary" type="submit">Pay {total}</button>
<div class="others" role="group" aria-label="Other outcomes">
<p class="divider"><span>or try another outcome</span></p>
<button type="submit" formaction="/pay/c/{id}/decline">Pay with a card that is declined</button>
<button type="submit" formaction="/pay/c/{id}/pay-later">Pay by bank debit, settled later</button>
</div>
</form>"#
    )
}

fn lines(items: &[LineItem]) -> String {
    items.iter().map(line).collect()
}

fn line(item: &LineItem) -> String {
    let currency = &item.price.currency;
    let unit = if item.quantity > 1 {
        format!(" · {} each", display(item.price.unit_amount, currency))
    } else {
        String::new()
    };
    format!(
        r#"<li>{picture}<div class="what"><span class="name">{name}</span><span class="quantity">Qty {quantity}{unit}</span></div><span class="amount">{amount}</span></li>"#,
        picture = picture(item),
        name = escape(&item.product.name),
        quantity = item.quantity,
        amount = display(item.total_minor(), currency),
    )
}

fn picture(item: &LineItem) -> String {
    let image = item.product.images.first().filter(|url| url.starts_with("http"));
    if let Some(url) = image {
        format!(r#"<img src="{}" alt="" width="48" height="48">"#, escape(url))
    } else {
        let initial = item.product.name.chars().next().map_or_else(String::new, |first| first.to_uppercase().collect());
        format!(r#"<span class="tile" aria-hidden="true">{}</span>"#, escape(&initial))
    }
}

fn leave_link(shop: &str, session: &Session, class: &str) -> String {
    session.cancel_url.as_ref().map_or_else(String::new, |url| {
        format!(
            r#"<a class="{class}" href="{url}"><span aria-hidden="true">←</span> Back to {shop}</a>"#,
            url = escape(&url.replace("{CHECKOUT_SESSION_ID}", &session.id)),
            shop = escape(shop),
        )
    })
}

fn expiry_text(seconds_left: i64) -> String {
    let minutes = seconds_left.max(0) / 60;
    match minutes {
        0 => "This page expires in less than a minute.".to_owned(),
        1 => "This page expires in 1 minute.".to_owned(),
        2..=119 => format!("This page expires in {minutes} minutes."),
        _ => format!("This page expires in {} hours.", (minutes + 30) / 60),
    }
}

/// A page with one message.
struct Message<'a> {
    symbol: &'a str,
    title: &'a str,
    text: &'a str,
    /// HTML below the text.
    below: String,
}

fn message(shop: &str, message: &Message<'_>) -> String {
    let body = format!(
        r#"{header}
<main class="message">
{symbol}
<h1>{title}</h1>
<p>{text}</p>
{below}
</main>"#,
        header = header(shop),
        symbol = message.symbol,
        title = escape(message.title),
        text = escape(message.text),
        below = message.below,
    );
    document(message.title, &body)
}

fn return_link(shop: &str, session: &Session) -> String {
    format!(
        r#"<a class="primary" href="{url}">Return to {shop}</a>"#,
        url = escape(&session.return_url()),
        shop = escape(shop),
    )
}

pub(crate) fn paid(shop: &str, session: &Session) -> String {
    let total = display(session.amount_total, &session.currency);
    let text = format!("{total} went to {shop}. There is nothing more to pay.");
    message(shop, &Message { symbol: TICK, title: "Payment complete", text: &text, below: return_link(shop, session) })
}

pub(crate) fn awaiting(shop: &str, session: &Session) -> String {
    let total = display(session.amount_total, &session.currency);
    let text = format!("A bank debit of {total} was ordered. {shop} hears of its result once the bank has settled it.");
    let id = escape(&session.id);
    let below = format!(
        r#"{link}
<form class="decide" method="post">
<p class="divider"><span>decide how it ends</span></p>
<button type="submit" formaction="/pay/c/{id}/settle">The money arrives</button>
<button type="submit" formaction="/pay/c/{id}/fail">The debit fails</button>
</form>"#,
        link = return_link(shop, session),
    );
    message(shop, &Message { symbol: CLOCK, title: "Payment on its way", text: &text, below })
}

pub(crate) fn failed(shop: &str, session: &Session) -> String {
    message(
        shop,
        &Message {
            symbol: CROSS,
            title: "Payment failed",
            text: "The bank did not settle the debit. Nothing was charged. The shop can open a new payment.",
            below: return_link(shop, session),
        },
    )
}

pub(crate) fn expired(shop: &str, session: &Session) -> String {
    message(
        shop,
        &Message {
            symbol: CLOCK,
            title: "This page has expired",
            text: "Nothing was charged. Go back to the shop to start the payment anew.",
            below: leave_link(shop, session, "primary"),
        },
    )
}

pub(crate) fn unknown_session(shop: &str) -> String {
    message(
        shop,
        &Message {
            symbol: CROSS,
            title: "There is no such payment page",
            text: "The link may be incomplete, or the simulator was started anew since: it keeps nothing on disk.",
            below: String::new(),
        },
    )
}

pub(crate) fn not_found(shop: &str) -> String {
    message(
        shop,
        &Message {
            symbol: CROSS,
            title: "There is nothing here",
            text: "Payment pages are at the url of a checkout session.",
            below: r#"<a class="primary" href="/">Show the latest sessions</a>"#.to_owned(),
        },
    )
}

/// The latest sessions, for a developer who looks around.
pub(crate) fn overview(shop: &str, sessions: &[(&Session, Stage)]) -> String {
    let rows: String = sessions.iter().map(|(session, stage)| overview_row(session, stage)).collect();
    let list = if rows.is_empty() {
        "<p>No checkout session has been opened yet.</p>".to_owned()
    } else {
        format!(
            r#"<div class="scroll"><table><thead><tr><th>Session</th><th>Reference</th><th>State</th><th class="number">Total</th></tr></thead><tbody>{rows}</tbody></table></div>"#
        )
    };
    let body = format!(
        r#"{header}
<main class="overview">
<h1>Stripe simulator</h1>
<p>It plays Stripe for development and tests. The latest checkout sessions:</p>
{list}
</main>"#,
        header = header(shop),
    );
    document("Stripe simulator", &body)
}

fn overview_row(session: &Session, stage: &Stage) -> String {
    let (class, word) = match stage {
        Stage::Open => ("open", "open"),
        Stage::Paid => ("good", "paid"),
        Stage::Awaiting => ("wait", "awaiting the bank"),
        Stage::Failed => ("bad", "failed"),
        Stage::Expired => ("gone", "expired"),
    };
    let short: String = session.id.chars().take(22).collect();
    format!(
        r#"<tr><td><a href="/pay/c/{id}"><code>{short}…</code></a></td><td>{reference}</td><td><span class="state {class}">{word}</span></td><td class="number">{total}</td></tr>"#,
        id = escape(&session.id),
        short = escape(&short),
        reference = escape(session.client_reference_id.as_deref().unwrap_or("–")),
        total = display(session.amount_total, &session.currency),
    )
}
