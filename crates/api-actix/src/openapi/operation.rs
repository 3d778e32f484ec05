//! What is said of an operation beside what its code shows: its name, its answers, and its problems.

use actix_web::http::StatusCode;
use serde_json::Value;
use utoipa::ToSchema;

use super::argument::RequestDescription;
use super::components::Components;
use crate::access::Who;
use crate::problem::Code;

/// What operations are grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tag {
    /// Registering, logging in, users.
    Accounts,
    /// Products and their stock.
    Catalogue,
    /// The cart.
    Cart,
    /// Orders and their payment.
    Orders,
    /// What the provider says.
    Events,
    /// For those who run the shop.
    Running,
    /// For browsers.
    Pages,
}

impl Tag {
    pub(super) const ALL: [Self; 7] =
        [Self::Accounts, Self::Catalogue, Self::Cart, Self::Orders, Self::Events, Self::Running, Self::Pages];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Accounts => "Accounts",
            Self::Catalogue => "Catalogue",
            Self::Cart => "Cart",
            Self::Orders => "Orders",
            Self::Events => "Events",
            Self::Running => "Running it",
            Self::Pages => "Pages",
        }
    }

    pub(super) const fn says(self) -> &'static str {
        match self {
            Self::Accounts => "Registering, logging in and out, and what admins do with users.",
            Self::Catalogue => "Browsing products; keeping them and their stock.",
            Self::Cart => "What a customer means to order.",
            Self::Orders => "Placing, paying, cancelling, shipping and refunding orders.",
            Self::Events => "What the payment provider says, and what became of it.",
            Self::Running => "How an instance is, for those who run it.",
            Self::Pages => "For browsers.",
        }
    }
}

/// An operation's description. Without one, no route can be mounted.
#[derive(Debug)]
#[must_use]
pub struct Operation {
    pub(super) tag: Tag,
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    pub(super) explanation: &'static str,
    pub(super) answers: Vec<Answer>,
    pub(super) refusals: Vec<Code>,
    pub(super) headers: Vec<&'static str>,
    pub(super) is_listed: bool,
}

/// An answer that is no problem.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) says: &'static str,
    pub(super) content: Content,
    pub(super) headers: Vec<&'static str>,
}

/// What is in an answer.
#[derive(Debug, Clone, Copy)]
pub(super) enum Content {
    Nothing,
    Json(fn(&mut Components) -> Value),
    Text(&'static str),
}

impl Operation {
    /// An operation with a name that is its own, such as `placeOrder`.
    pub(crate) const fn new(tag: Tag, id: &'static str, summary: &'static str) -> Self {
        Self {
            tag,
            id,
            summary,
            explanation: "",
            answers: Vec::new(),
            refusals: Vec::new(),
            headers: Vec::new(),
            is_listed: true,
        }
    }

    /// A file that belongs to a page and is nothing to call by itself: the one kind of route that is not listed.
    pub(crate) const fn part_of_a_page() -> Self {
        let mut part = Self::new(Tag::Pages, "", "");
        part.is_listed = false;
        part
    }

    /// More about it, in Markdown.
    pub(crate) const fn explained(mut self, explanation: &'static str) -> Self {
        self.explanation = explanation;
        self
    }

    /// Answers with a JSON body.
    pub(crate) fn answers<T: ToSchema>(self, status: StatusCode, says: &'static str) -> Self {
        self.answer(status, says, Content::Json(Components::body::<T>))
    }

    /// Answers 200 with a page of a list.
    pub(crate) fn answers_list<T: ToSchema>(self, says: &'static str) -> Self {
        self.answer(StatusCode::OK, says, Content::Json(Components::list::<T>))
    }

    /// Answers without a body.
    pub(crate) fn answers_nothing(self, status: StatusCode, says: &'static str) -> Self {
        self.answer(status, says, Content::Nothing)
    }

    /// Answers 200 with any JSON object.
    pub(crate) fn answers_object(self, says: &'static str) -> Self {
        self.answer(StatusCode::OK, says, Content::Json(|_| serde_json::json!({ "type": "object" })))
    }

    /// Answers 200 with text of a media type.
    pub(crate) fn answers_text(self, media_type: &'static str, says: &'static str) -> Self {
        self.answer(StatusCode::OK, says, Content::Text(media_type))
    }

    fn answer(mut self, status: StatusCode, says: &'static str, content: Content) -> Self {
        self.answers.push(Answer { status, says, content, headers: Vec::new() });
        self
    }

    /// The last answer carries a header.
    pub(crate) fn tells(mut self, header: &'static str) -> Self {
        if let Some(last) = self.answers.last_mut() {
            last.headers.push(header);
        }
        self
    }

    /// Looks at a header of requests.
    pub(crate) fn heeds(mut self, header: &'static str) -> Self {
        self.headers.push(header);
        self
    }

    /// Problems that are its own; those that follow from how it is mounted are known.
    pub(crate) fn refuses(mut self, codes: &[Code]) -> Self {
        self.refusals.extend(codes);
        self
    }
}

/// An operation as it is mounted.
#[derive(Debug)]
pub(crate) struct OperationAt {
    pub(crate) method: &'static str,
    pub(crate) who: Who,
    pub(crate) describe_request: fn(&mut RequestDescription),
    pub(crate) operation: Operation,
}
