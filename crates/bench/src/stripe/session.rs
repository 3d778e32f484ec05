//! A checkout session as Stripe shows it, in its full length: reading it is a part of what an order costs the shop.

use std::collections::BTreeMap;

/// As the API version of the shop has it, with places for what differs between sessions.
const FORM: &str = include_str!("session.json.in");

/// What differs between sessions.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) id: String,
    order: String,
    attempt: String,
    email: String,
    amount_minor: i64,
    expires_at: i64,
    success_url: String,
    cancel_url: String,
    is_open: bool,
}

impl Session {
    /// The session that a form asks for.
    pub(super) fn of_form(form: &str, number: usize) -> Self {
        let fields: BTreeMap<_, _> = form_urlencoded::parse(form.as_bytes()).collect();
        let text = |name: &str| fields.get(name).map(ToString::to_string).unwrap_or_default();
        let whole = |name: &str| fields.get(name).and_then(|value| value.parse::<i64>().ok());
        let line = |index: usize| {
            let unit = whole(&format!("line_items[{index}][price_data][unit_amount]"))?;
            Some(unit * whole(&format!("line_items[{index}][quantity]"))?)
        };
        Self {
            id: format!("cs_test_{number:058}"),
            order: text("client_reference_id"),
            attempt: text("metadata[attemptId]"),
            email: text("customer_email"),
            amount_minor: (0..).map_while(line).sum(),
            expires_at: whole("expires_at").unwrap_or_default(),
            success_url: text("success_url"),
            cancel_url: text("cancel_url"),
            is_open: true,
        }
    }

    /// Closes it; a closed one stays closed.
    pub(super) fn close(&mut self) -> String {
        self.is_open = false;
        self.to_json()
    }

    /// The object on the wire.
    pub(super) fn to_json(&self) -> String {
        let mut json = String::with_capacity(FORM.len() + 1024);
        let mut rest = FORM;
        while let Some((before, after)) = rest.split_once('@') {
            json.push_str(before);
            let (name, after) = after.split_once('@').unwrap_or((after, ""));
            json.push_str(&self.value(name));
            rest = after;
        }
        json.push_str(rest);
        json
    }

    /// What the shop sends holds nothing that JSON must escape.
    fn value(&self, name: &str) -> String {
        match name {
            "ID" => self.id.clone(),
            "ORDER" => self.order.clone(),
            "ATTEMPT" => self.attempt.clone(),
            "EMAIL" => self.email.clone(),
            "AMOUNT" => self.amount_minor.to_string(),
            "EXPIRES" => self.expires_at.to_string(),
            // Sessions live for half an hour at least.
            "CREATED" => (self.expires_at - 1_860).to_string(),
            "SUCCESS" => self.success_url.clone(),
            "CANCEL" => self.cancel_url.clone(),
            "STATUS" => if self.is_open { "open" } else { "expired" }.to_owned(),
            "URL" if self.is_open => format!("\"https://checkout.stripe.com/c/pay/{}\"", self.id),
            _ => "null".to_owned(),
        }
    }
}
