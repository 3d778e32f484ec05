// Stripe's own Node SDK lives through a session and its refunds against the simulator.
//
// Usage: node checks.cjs <base url>. Prints one line per check; exits non-zero if any fails.

const http = require("node:http");
const Stripe = require("stripe");

const BASE = new URL(process.argv[2]);
const SECRET = "whsec_conformance_node_0123456789abcdef";
const options = { host: BASE.hostname, port: BASE.port, protocol: "http", maxNetworkRetries: 0, telemetry: false };
const stripe = new Stripe("sk_test_conformance", options);
const { errors } = Stripe;

let failures = 0;

/** Prints the outcome of one check. */
function check(name, passed, seen) {
  if (passed) {
    console.log(`ok    node    ${name}`);
  } else {
    failures += 1;
    console.log(`FAIL  node    ${name}: ${seen instanceof Error ? seen.stack : JSON.stringify(seen)}`);
  }
}

/** Checks that a call rejects with the SDK's error of this class, with this code. */
async function checkRefused(name, errorClass, call, code) {
  try {
    check(name, false, await call());
  } catch (error) {
    check(name, error.constructor === errorClass && error.code === code && Boolean(error.requestId), error);
  }
}

const received = [];
const rejected = [];

/** A shop that verifies every event with the SDK. It is down for the first try of every event. */
const shop = http.createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    const body = Buffer.concat(chunks);
    const signature = request.headers["stripe-signature"];
    try {
      const event = stripe.webhooks.constructEvent(body, signature, SECRET);
      const isFirst = !received.some((earlier) => earlier.event.id === event.id);
      received.push({ event, body, signature });
      response.writeHead(isFirst ? 503 : 200).end();
    } catch (error) {
      rejected.push(error);
      response.writeHead(400).end();
    }
  });
});

/** A call of the simulator's control API. */
async function control(path, body = {}) {
  const answer = await fetch(new URL(`/_control/${path}`, BASE), { method: "POST", body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

/** The parameters of a session as a shop sends them. */
function order(changes = {}) {
  return {
    mode: "payment",
    success_url: "https://shop.example/done?session={CHECKOUT_SESSION_ID}",
    cancel_url: "https://shop.example/cart?a=1&b=ü",
    client_reference_id: "order_1",
    customer_email: "a+b@shop.example",
    line_items: [
      { quantity: 2, price_data: { currency: "eur", unit_amount: 1999, product_data: { name: "Mug & Co" } } },
      { quantity: 1, price_data: { currency: "eur", unit_amount: 450, product_data: { name: "Candle" } } },
    ],
    metadata: { order_id: "order_1" },
    payment_intent_data: { metadata: { order_id: "order_1" } },
    ...changes,
  };
}

async function checkSession() {
  const { sessions } = stripe.checkout;
  const session = await sessions.create(order({ expand: ["line_items"] }), { idempotencyKey: "node-1" });
  check("a session is created with its lines expanded",
    session.status === "open" && session.amount_total === 4448 && session.line_items.data.length === 2, session);
  check("it expires in 24 hours by default", session.expires_at === session.created + 86400, session);
  const again = await sessions.create(order({ expand: ["line_items"] }), { idempotencyKey: "node-1" });
  check("the same key gives the first answer", again.id === session.id
    && again.lastResponse.headers["idempotent-replayed"] === "true", again);
  await checkRefused("the same key with other parameters is refused", errors.StripeIdempotencyError,
    () => sessions.create(order(), { idempotencyKey: "node-1" }));
  const lines = await sessions.listLineItems(session.id, { limit: 1 });
  check("its line items are listed page by page", lines.data.length === 1 && lines.has_more, lines);

  await control(`sessions/${session.id}/pay`);
  const paid = await sessions.retrieve(session.id, { expand: ["payment_intent.latest_charge"] });
  check("it is paid, and its charge is expanded", paid.payment_status === "paid" && paid.url === null
    && paid.payment_intent.latest_charge.amount === 4448, paid);
  await checkRefused("a paid session cannot be expired", errors.StripeInvalidRequestError,
    () => sessions.expire(session.id));

  const delayed = await sessions.create(order());
  await control(`sessions/${delayed.id}/complete_unpaid`);
  const waiting = await sessions.retrieve(delayed.id, { expand: ["payment_intent"] });
  check("a delayed payment leaves the session complete and unpaid", waiting.status === "complete"
    && waiting.payment_status === "unpaid" && waiting.payment_intent.status === "processing", waiting);
  await control(`sessions/${delayed.id}/settle`);
  check("then it settles", (await sessions.retrieve(delayed.id)).payment_status === "paid");
  const failing = await sessions.create(order());
  await control(`sessions/${failing.id}/complete_unpaid`);
  await control(`sessions/${failing.id}/fail`);
  check("or it fails", (await sessions.retrieve(failing.id)).payment_status === "unpaid");

  const other = await sessions.create(order());
  check("another session is expired", (await sessions.expire(other.id)).status === "expired");
  await checkRefused("an expired one cannot be expired again", errors.StripeInvalidRequestError,
    () => sessions.expire(other.id));
  const listed = [];
  for await (const one of sessions.list({ limit: 2 })) listed.push(one.id);
  check("the list is read to its end, newest first",
    JSON.stringify(listed) === JSON.stringify([other.id, failing.id, delayed.id, session.id]), listed);
  return paid.payment_intent;
}

async function checkRefunds(intent) {
  const part = await stripe.refunds.create({ payment_intent: intent.id, amount: 448, reason: "requested_by_customer" });
  check("a part is refunded", part.status === "succeeded" && part.reason === "requested_by_customer", part);
  await checkRefused("more than is left is refused", errors.StripeInvalidRequestError,
    () => stripe.refunds.create({ payment_intent: intent.id, amount: 4001 }));
  await control("refunds/next", { status: "pending" });
  const rest = await stripe.refunds.create({ payment_intent: intent.id });
  check("the rest is on its way", rest.status === "pending" && rest.amount === 4000, rest);
  await checkRefused("what is refunded is not refunded again", errors.StripeInvalidRequestError,
    () => stripe.refunds.create({ payment_intent: intent.id }), "charge_already_refunded");
  await control(`refunds/${rest.id}/settle`);
  check("it arrives", (await stripe.refunds.retrieve(rest.id)).status === "succeeded");
  await control(`refunds/${rest.id}/fail`);
  const failed = await stripe.refunds.retrieve(rest.id, { expand: ["charge"] });
  check("and can still fail later", failed.status === "failed" && failed.charge.amount_refunded === 448, failed);
  const listed = await stripe.refunds.list({ charge: intent.latest_charge.id });
  check("the refunds of a charge are listed", listed.data.map((one) => one.id).join() === [rest.id, part.id].join(),
    listed);
}

async function checkErrors() {
  const { sessions } = stripe.checkout;
  await checkRefused("an unknown id is resource_missing", errors.StripeInvalidRequestError,
    () => sessions.retrieve("cs_test_nowhere"), "resource_missing");
  await checkRefused("an unknown parameter is parameter_unknown", errors.StripeInvalidRequestError,
    () => sessions.create(order({ colour: "red" })), "parameter_unknown");
  await checkRefused("a reference of 201 characters is refused", errors.StripeInvalidRequestError,
    () => sessions.create(order({ client_reference_id: "x".repeat(201) })), "parameter_invalid_string_too_long");
  await checkRefused("an old ui_mode is refused", errors.StripeInvalidRequestError,
    () => sessions.create(order({ ui_mode: "hosted" })));
  await control("faults", { kind: "server_error" });
  await checkRefused("a server error is the SDK's StripeAPIError", errors.StripeAPIError, () => sessions.list());
  await control("faults", { kind: "lock_timeout" });
  await checkRefused("a lock time-out is the SDK's StripeRateLimitError", errors.StripeRateLimitError,
    () => sessions.list(), "lock_timeout");
  // Twice, since the SDK repeats once by itself on a fresh connection, taking the cut one for stale.
  await control("faults", { kind: "cut", times: 2 });
  const cut = await sessions.list().catch((error) => error);
  check("a cut connection is the SDK's StripeConnectionError", cut.constructor === errors.StripeConnectionError, cut);
  await control("faults", { kind: "lock_timeout", times: 1 });
  const patient = new Stripe("sk_test_conformance", { ...options, maxNetworkRetries: 2 });
  const repeated = await patient.checkout.sessions.create(order());
  check("the SDK repeats by itself after a lock time-out", repeated.status === "open", repeated);
}

async function checkEvents() {
  const deadline = Date.now() + 30000;
  const undelivered = async () => (await stripe.events.list({ delivery_success: false })).data;
  while (Date.now() < deadline && (await undelivered()).length > 0) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const sent = [];
  for await (const event of stripe.events.list({ limit: 100 })) sent.push(event.id);
  const tries = (id) => received.filter((one) => one.event.id === id);
  check(`all ${sent.length} events arrived, refused once and sent again, and each signature verifies`,
    sent.length > 0 && rejected.length === 0 && sent.every((id) => tries(id).length === 2), rejected);
  const settled = await stripe.events.list({ types: ["checkout.session.async_payment_succeeded"] });
  check("events are found by type", settled.data.length === 1, settled);
  const { body, signature } = received[0];
  try {
    stripe.webhooks.constructEvent(`${body} `, signature, SECRET);
    check("a body that was changed does not verify", false);
  } catch (error) {
    check("a body that was changed does not verify", error instanceof errors.StripeSignatureVerificationError, error);
  }
  check("nothing is left undelivered", (await undelivered()).length === 0);
}

async function main() {
  await new Promise((resolve) => shop.listen(0, "127.0.0.1", resolve));
  await control("webhooks/endpoints", [{ url: `http://127.0.0.1:${shop.address().port}/`, secret: SECRET }]);
  const intent = await checkSession();
  await checkRefunds(intent);
  await checkErrors();
  await checkEvents();
  await control("webhooks/endpoints", []);
  shop.close();
  shop.closeAllConnections();
  process.exitCode = failures > 0 ? 1 : 0;
}

main();
