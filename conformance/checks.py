"""Stripe's own Python SDK lives through a session and its refunds against the simulator.

Usage: checks.py <base url>. Prints one line per check; exits non-zero if any fails.
"""

import http.server
import json
import sys
import threading
import time
import urllib.parse
import urllib.request

import stripe

BASE = sys.argv[1]
SECRET = "whsec_conformance_python_0123456789abcdef"
client = stripe.StripeClient("sk_test_conformance", base_addresses={"api": BASE}, max_network_retries=0)
failures = 0


def check(name, passed, seen=""):
    """Prints the outcome of one check."""
    global failures
    if passed:
        print(f"ok    python  {name}", flush=True)
    else:
        failures += 1
        print(f"FAIL  python  {name}: {seen!r}", flush=True)


def check_refused(name, error_class, call, code=None):
    """Checks that a call raises the SDK's exception of this class, with this code."""
    try:
        answer = call()
    except stripe.StripeError as error:
        seen = error.error.code if error.error else None
        check(name, type(error) is error_class and seen == code and error.request_id, error)
    else:
        check(name, False, answer)


class Shop(http.server.BaseHTTPRequestHandler):
    """A shop that verifies every event with the SDK."""

    received = []
    rejected = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            event = stripe.Webhook.construct_event(body, self.headers["Stripe-Signature"], SECRET)
            self.received.append((event, body, self.headers["Stripe-Signature"]))
        except Exception as error:  # Whatever it is, it is a failed verification.
            self.rejected.append(error)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        """Says nothing."""


def control(path, body=None):
    """A call of the simulator's control API."""
    request = urllib.request.Request(f"{BASE}/_control/{path}", data=json.dumps({} if body is None else body).encode(), method="POST")
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def order(**changes):
    """The parameters of a session as a shop sends them."""
    params = {
        "mode": "payment",
        "success_url": "https://shop.example/done?session={CHECKOUT_SESSION_ID}",
        "cancel_url": "https://shop.example/cart?a=1&b=ü",
        "client_reference_id": "order_1",
        "expires_at": int(time.time()) + 31 * 60,
        "line_items": [
            {
                "quantity": 2,
                "price_data": {
                    "currency": "usd",
                    "unit_amount": 1999,
                    "product_data": {"name": "Mug & Co", "images": ["https://shop.example/mug.png"]},
                },
            },
        ],
        "metadata": {"order_id": "order_1"},
        "payment_intent_data": {"metadata": {"order_id": "order_1"}},
    }
    params.update(changes)
    return {name: value for name, value in params.items() if value is not None}


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """Leaves a redirect to be looked at."""

    def redirect_request(self, *_):
        return None


def press(url, button, **fields):
    """Presses a button of the hosted page; gives the address that it leads to."""
    opener = urllib.request.build_opener(NoRedirect)
    try:
        opener.open(f"{url}/{button}", data=urllib.parse.urlencode(fields).encode())
    except urllib.error.HTTPError as answer:
        return answer.headers["Location"]
    return None


def check_session():
    sessions = client.v1.checkout.sessions
    session = sessions.create(order())
    check("a session is created open and unpaid", (session.status, session.payment_status) == ("open", "unpaid"), session)
    check("it has the total of its lines, its page and no payment intent yet",
          session.amount_total == 3998 and session.url.endswith(session.id) and session.payment_intent is None, session)
    lines = sessions.line_items.list(session.id, {"expand": ["data.price.product"]})
    check("its line items are listed, with their products expanded",
          [(line.quantity, line.amount_total, line.price.product.name) for line in lines.data] == [(2, 3998, "Mug & Co")],
          lines)
    with urllib.request.urlopen(session.url) as page:
        html = page.read().decode()
    check("its page shows what is bought", "Mug &amp; Co" in html and "$39.98" in html, html)

    declined = press(session.url, "decline", email="ada@example.com")
    check("a declined card leaves the session open",
          "declined" in declined and sessions.retrieve(session.id).status == "open", declined)
    target = press(session.url, "pay", email="ada@example.com")
    check("paying leads to the success page", target == f"https://shop.example/done?session={session.id}", target)
    paid = sessions.retrieve(session.id, {"expand": ["payment_intent.latest_charge", "line_items"]})
    check("the session is complete and paid, without a page",
          (paid.status, paid.payment_status, paid.url) == ("complete", "paid", None), paid)
    check("its payment intent and charge are expanded",
          paid.payment_intent.status == "succeeded" and paid.payment_intent.latest_charge.amount_captured == 3998, paid)
    check("the intent has its own metadata", paid.payment_intent.metadata.to_dict() == {"order_id": "order_1"}, paid)
    found = sessions.list({"payment_intent": paid.payment_intent.id, "created": {"gte": session.created}})
    check("the session is found by its payment intent", [one.id for one in found.data] == [session.id], found)
    check_refused("a paid session cannot be expired", stripe.InvalidRequestError, lambda: sessions.expire(session.id))

    other = sessions.create(order(client_reference_id="order_2"))
    check("another session is expired", sessions.expire(other.id).status == "expired")
    pages = [one.id for one in sessions.list({"limit": 1}).auto_paging_iter()]
    check("a list is read page by page, newest first", pages == [other.id, session.id], pages)
    return paid.payment_intent


def check_refunds(intent):
    refunds = client.v1.refunds
    part = refunds.create({"payment_intent": intent.id, "amount": 998, "metadata": {"refund_id": "r1"}})
    check("a part is refunded", (part.status, part.amount, part.metadata["refund_id"]) == ("succeeded", 998, "r1"), part)
    check_refused("more than is left is refused", stripe.InvalidRequestError,
                  lambda: refunds.create({"payment_intent": intent.id, "amount": 3001}))
    rest = refunds.create({"charge": intent.latest_charge.id})
    check("the rest is refunded", rest.amount == 3000, rest)
    charge = client.v1.charges.retrieve(intent.latest_charge.id, {"expand": ["refunds"]})
    check("the charge is refunded", charge.refunded and charge.amount_refunded == 3998 and len(charge.refunds.data) == 2,
          charge)
    check_refused("what is refunded is not refunded again", stripe.InvalidRequestError,
                  lambda: refunds.create({"payment_intent": intent.id}), "charge_already_refunded")
    control(f"refunds/{rest.id}/fail", {"reason": "lost_or_stolen_card"})
    failed = refunds.retrieve(rest.id)
    check("a refund can fail later", (failed.status, failed.failure_reason) == ("failed", "lost_or_stolen_card"), failed)
    charge = client.v1.charges.retrieve(charge.id)
    check("then the charge is less refunded", not charge.refunded and charge.amount_refunded == 998, charge)
    listed = refunds.list({"payment_intent": intent.id})
    check("the refunds of an intent are listed", {one.id for one in listed.data} == {part.id, rest.id}, listed)
    control("refunds/next", {"status": "requires_action"})
    waiting = refunds.create({"payment_intent": intent.id, "amount": 100})
    check("a refund that waits for the customer is canceled",
          waiting.status == "requires_action" and refunds.cancel(waiting.id).status == "canceled", waiting)
    control(f"charges/{charge.id}/dispute")
    check_refused("a disputed charge is not refunded", stripe.InvalidRequestError,
                  lambda: refunds.create({"payment_intent": intent.id, "amount": 1}), "charge_disputed")


def check_idempotency():
    sessions = client.v1.checkout.sessions
    first = sessions.create(order(), {"idempotency_key": "python-1"})
    again = sessions.create(order(expires_at=first.expires_at), {"idempotency_key": "python-1"})
    check("the same key gives the first answer", first.id == again.id, again)
    check("the answer says that it is a replay",
          again.last_response.headers.get("Idempotent-Replayed") == "true", again.last_response.headers)
    check_refused("the same key with other parameters is refused", stripe.IdempotencyError,
                  lambda: sessions.create(order(client_reference_id="x"), {"idempotency_key": "python-1"}))
    control("faults", {"kind": "server_error", "phase": "after_effect"})
    params = order(client_reference_id="order_500")
    check_refused("a server error is the SDK's APIError", stripe.APIError,
                  lambda: sessions.create(params, {"idempotency_key": "python-2"}))
    check_refused("a stored server error is replayed", stripe.APIError,
                  lambda: sessions.create(params, {"idempotency_key": "python-2"}))
    happened = [one for one in sessions.list().data if one.client_reference_id == "order_500"]
    check("its effect happened once", len(happened) == 1, happened)
    control("faults", {"kind": "cut"})
    try:
        check("a cut connection is no answer", False, sessions.create(order()))
    except stripe.StripeError as error:
        check("a cut connection is the SDK's APIConnectionError", type(error) is stripe.APIConnectionError, error)


def check_errors():
    sessions = client.v1.checkout.sessions
    check_refused("an unknown id is resource_missing", stripe.InvalidRequestError,
                  lambda: sessions.retrieve("cs_test_nowhere"), "resource_missing")
    check_refused("an unknown parameter is parameter_unknown", stripe.InvalidRequestError,
                  lambda: sessions.create(order(colour="red")), "parameter_unknown")
    check_refused("a missing one is parameter_missing", stripe.InvalidRequestError,
                  lambda: sessions.create(order(line_items=None)), "parameter_missing")
    check_refused("payment_method_types is gone from session creation", stripe.InvalidRequestError,
                  lambda: sessions.create(order(payment_method_types=["card"])), "parameter_unknown")
    check_refused("an expiry in 5 minutes is refused", stripe.InvalidRequestError,
                  lambda: sessions.create(order(expires_at=int(time.time()) + 300)))
    cheap = [{"quantity": 1, "price_data": {"currency": "usd", "unit_amount": 49, "product_data": {"name": "Pin"}}}]
    check_refused("a total under the least is amount_too_small", stripe.InvalidRequestError,
                  lambda: sessions.create(order(line_items=cheap)), "amount_too_small")
    declined = {"amount": 500, "currency": "usd", "payment_method": "pm_card_visa_chargeDeclined", "confirm": True}
    check_refused("a declined card is the SDK's CardError", stripe.CardError,
                  lambda: client.v1.payment_intents.create(declined), "card_declined")
    control("faults", {"kind": "lock_timeout"})
    check_refused("a lock time-out is the SDK's RateLimitError", stripe.RateLimitError,
                  lambda: sessions.list(), "lock_timeout")
    nobody = stripe.StripeClient(" ", base_addresses={"api": BASE}, max_network_retries=0)
    check_refused("no key is the SDK's AuthenticationError", stripe.AuthenticationError,
                  lambda: nobody.v1.checkout.sessions.list())


def check_events():
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and client.v1.events.list({"delivery_success": False}).data:
        time.sleep(0.1)
    sent = [event.id for event in client.v1.events.list({"limit": 100}).auto_paging_iter()]
    got = {event.id for event, _, _ in Shop.received}
    check(f"all {len(sent)} events arrived, and each signature verifies", set(sent) == got and not Shop.rejected,
          (set(sent) ^ got, Shop.rejected))
    kinds = {event.type for event, _, _ in Shop.received}
    expected = {"checkout.session.completed", "checkout.session.expired", "payment_intent.succeeded",
                "payment_intent.payment_failed", "charge.succeeded", "charge.refunded", "refund.created",
                "refund.updated", "refund.failed", "charge.dispute.created"}
    check("every kind of event that a shop needs was among them", expected <= kinds, expected - kinds)
    _, body, signature = Shop.received[0]
    try:
        stripe.Webhook.construct_event(body + b" ", signature, SECRET)
        check("a body that was changed does not verify", False)
    except stripe.SignatureVerificationError:
        check("a body that was changed does not verify", True)
    undelivered = client.v1.events.list({"delivery_success": False})
    check("nothing is left undelivered", undelivered.data == [], undelivered)


def main():
    shop = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    threading.Thread(target=shop.serve_forever, daemon=True).start()
    control("webhooks/endpoints", [{"url": f"http://127.0.0.1:{shop.server_port}/", "secret": SECRET}])
    intent = check_session()
    check_refunds(intent)
    check_idempotency()
    check_errors()
    check_events()
    control("webhooks/endpoints", [])
    shop.shutdown()
    sys.exit(1 if failures else 0)


main()
