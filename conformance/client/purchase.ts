// A purchase by a client that was generated from the API's description: what it sends and what it reads is checked by the
// compiler, and what comes back by the asserts.
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

type Order = components["schemas"]["Order"];

const baseUrl = process.argv[2];
assert(baseUrl, "usage: purchase.js <address of the shop>");
const api = createClient<paths>({ baseUrl });
const step = (text: string) => console.log(`ok    ${text}`);

const account = { email: `ada-${Date.now()}@example.com`, password: "Corr3ct-horse" };
const registered = await api.POST("/api/v1/auth/register", { body: account });
assert.equal(registered.data?.role, "CUSTOMER");
step("registers");

const wrong = await api.POST("/api/v1/auth/login", { body: { ...account, password: "wrong" } });
assert.equal(wrong.response.status, 401);
assert.equal(wrong.error?.code, "invalid_credentials");
step("is told what is wrong, by a code");

const { data: tokens } = await api.POST("/api/v1/auth/login", { body: account });
assert(tokens);
api.use({
  onRequest({ request }) {
    request.headers.set("Authorization", `${tokens.tokenType} ${tokens.accessToken}`);
  },
});
step("logs in");

const { data: found } = await api.GET("/api/v1/products", { params: { query: { inStock: true, sort: "price", limit: 1 } } });
const product = found?.items[0];
assert(product && found.nextCursor !== null);
step(`browses: ${product.name}, ${product.price} ${product.currency}`);

const { data: cart } = await api.POST("/api/v1/cart/items", { body: { productId: product.id, quantity: 2 } });
assert.equal(cart?.items[0]?.unitPrice, product.price);
step(`fills the cart: ${cart.total}`);

const moved = await api.POST("/api/v1/orders", { body: { shippingAddress: "1 High Street, Leeds", expectedTotal: "0.01" } });
assert(moved.error?.code === "total_changed");
// The code tells the compiler which problem it is, and so that it has a total.
assert.equal(moved.error.total, cart.total);
step("is told the total before it orders");

const body = { shippingAddress: "1 High Street\nLeeds LS1 4AP", expectedTotal: cart.total };
const header = { "Idempotency-Key": crypto.randomUUID() };
const placed = await api.POST("/api/v1/orders", { body, params: { header } });
const again = await api.POST("/api/v1/orders", { body, params: { header } });
assert(placed.data && again.data);
assert.deepEqual(again.data, placed.data);
assert.equal(again.response.headers.get("Idempotency-Replayed"), "true");
const { id, payment } = placed.data;
assert(payment.checkoutUrl);
step("orders, twice under one key: one order");

const paid = await fetch(`${payment.checkoutUrl}/pay`, { method: "POST", redirect: "manual" });
assert.equal(paid.status, 303);
step("pays on the (simulated) page of Stripe");

async function settled(): Promise<Order> {
  for (let tries = 0; tries < 100; tries += 1) {
    const { data: order } = await api.GET("/api/v1/orders/{id}", { params: { path: { id } } });
    assert(order);
    if (order.status !== "PENDING") {
      return order;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("the order is still PENDING");
}

const order = await settled();
assert.equal(order.status, "PAID");
assert.equal(order.payment.status, "COMPLETED");
assert.deepEqual(order.history.map(({ to, by }) => [to, by]), [["PENDING", "CUSTOMER"], ["PAID", "PROVIDER"]]);
step("polls until it is PAID");

const { data: mine } = await api.GET("/api/v1/orders", { params: { query: { status: "PAID" } } });
assert.deepEqual(mine?.items.map((one) => one.id), [id]);
step("finds it among its orders");
