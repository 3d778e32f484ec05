"""What Schemathesis must know of the shop beside its description."""

import hashlib
import hmac
import os
import re
import time
import uuid
from itertools import count

import answers
import schemathesis
from supplies import SHOPPER, Shop

TOKEN = os.environ.get("API_TOKEN", "")
WEBHOOK_SECRET = os.environ["API_WEBHOOK_SECRET"].encode()
SHOP = Shop(os.environ["API_ADDRESS"], TOKEN, os.environ.get("API_PASSWORD"))
SEEN = answers.Seen(os.environ["API_ANSWERS"])
TURNS = {}


@schemathesis.auth()
class Session:
    """The access token of whoever the run speaks as; nobody's if there is none."""

    def get(self, case, context):
        return TOKEN

    def set(self, case, data, context):
        if data:
            case.headers = {**(case.headers or {}), "Authorization": f"Bearer {data}"}


def turn(case):
    """The how-manieth request of its operation this is, so that every second can be mended, or every fourth."""
    return next(TURNS.setdefault(case.operation.label, count()))


def is_trimmed(value):
    """Strings are trimmed, then measured: one that is wrong only by its ends is right, which no pattern can say while
    its length is bounded."""
    if isinstance(value, str):
        return value == value.strip()
    if isinstance(value, dict):
        return all(is_trimmed(member) for member in value.values())
    return True


@schemathesis.hook
def filter_body(context, body):
    return is_trimmed(body)


@schemathesis.hook
def filter_query(context, query):
    return query is None or is_trimmed(dict(query))


@schemathesis.hook
def before_call(context, case, kwargs):
    """Mends what no schema can say. Schemathesis looks again whether the request is right after that."""
    number = turn(case)
    for name, value in (case.path_parameters or {}).items():
        if value is None:
            # Schemathesis follows an `orderId` that is null.
            case.path_parameters[name] = str(uuid.uuid4())
        elif is_id(value):
            case.path_parameters[name] = an_id(case, value, number)
    if case.query:
        # A cursor is right if a list of this kind gave it; those are tried by the tests.
        case.query.pop("cursor", None)
    key = (case.headers or {}).get("Idempotency-Key")
    if isinstance(key, str) and re.fullmatch("[!-~]{1,255}", key):
        # One request's key is no other's.
        case.headers["Idempotency-Key"] = str(uuid.uuid4())
    tag = (case.headers or {}).get("If-Match")
    if isinstance(tag, str) and len(tag) % 2:
        # Made-up tags are 412: half of them are enough.
        del case.headers["If-Match"]
    if isinstance(case.body, dict):
        mend_body(context.operation.path, case.body)
        if number % 2 == 0:
            fill_in(case.operation.label, case.body)
    signature = (case.headers or {}).get("Stripe-Signature")
    if isinstance(signature, str) and re.fullmatch("t=[0-9]+,v1=[0-9a-f]{64}", signature):
        kwargs["auth"] = sign


@schemathesis.hook
def after_call(context, case, response):
    SEEN.note(case.operation.label, response.status_code)
    SHOP.hear(case.operation.label, case.body, response)


def is_id(value):
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", value)


def an_id(case, value, number):
    """Every second id is of something that is there, unless Schemathesis follows a link and so knows one itself."""
    if case.operation.label == "PATCH /api/v1/admin/users/{id}" and value in SHOP.kept:
        # Whoever changes themselves is logged out, and would be nobody for the rest of the run.
        return SHOP.id_for(case.operation.label, number) or str(uuid.uuid4())
    is_linked = case.meta is not None and case.meta.phase.name.value == "stateful"
    return value if number % 2 or is_linked else SHOP.id_for(case.operation.label, number // 2) or value


def fill_in(label, body):
    """What only the shop knows: tokens and passwords that hold, products, a cart that is not empty."""
    match label:
        case "POST /api/v1/auth/register" if is_email(body.get("email")):
            # The same seed makes the same addresses for all.
            body["email"] = f"{uuid.uuid4()}@example.com"
        case "POST /api/v1/auth/refresh" | "POST /api/v1/auth/logout" if is_text(body.get("refreshToken")):
            body["refreshToken"] = SHOP.refresh_token()
        case "POST /api/v1/auth/login" if is_email(body.get("email")) and is_text(body.get("password")):
            body.update(SHOPPER)
        case "POST /api/v1/auth/change-password" if SHOP.password and is_text(body.get("oldPassword")):
            if body.get("newPassword") != SHOP.password:
                body["oldPassword"] = SHOP.password
        case "POST /api/v1/cart/items" if is_id(body.get("productId")):
            body["productId"] = SHOP.product() or body["productId"]
        case "POST /api/v1/orders":
            SHOP.fill_cart()
            if is_money(body.get("expectedTotal")):
                del body["expectedTotal"]


def is_text(value):
    return isinstance(value, str) and 0 < len(value) <= 512 and value.isprintable() and is_trimmed(value)


def is_email(value):
    return isinstance(value, str) and re.fullmatch(r"[!-~]{1,64}@[A-Za-z0-9]+([.][A-Za-z0-9]+)+", value)


def is_money(value):
    return isinstance(value, str) and re.fullmatch("[1-9][0-9]{0,7}([.][0-9]{1,2})?", value)


def mend_body(path, body):
    """How whole numbers are written, and what depends on the state of the shop."""
    for name, value in body.items():
        if name in ("quantity", "stock", "delta") and isinstance(value, float) and value.is_integer():
            # To JSON Schema 2.0 is a whole number, too.
            body[name] = int(value)
    delta, quantity, stock = body.get("delta"), body.get("quantity"), body.get("stock")
    if path.endswith("/stock-adjustments") and type(delta) is int and 1_000 < abs(delta) <= 1_000_000_000:
        # A stock has a ceiling.
        body["delta"] = 1_000
    if "/products" in path and type(stock) is int and 900_000_000 < stock <= 1_000_000_000:
        body["stock"] = 900_000_000
    if "/cart/items" in path and type(quantity) is int and 1 < quantity <= 1_000:
        # So has a line of the cart.
        body["quantity"] = 1
    if path.endswith("/change-password") and body.get("newPassword") == body.get("oldPassword"):
        body["oldPassword"] = "Another-0ne"


def sign(request):
    """Signs what is sent, as Stripe does."""
    now = str(int(time.time()))
    body = request.body or b""
    body = body.encode() if isinstance(body, str) else body
    digest = hmac.new(WEBHOOK_SECRET, now.encode() + b"." + body, hashlib.sha256).hexdigest()
    request.headers["Stripe-Signature"] = f"t={now},v1={digest}"
    return request
