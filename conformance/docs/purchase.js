// A purchase by mouse and keyboard, from /docs: registers and logs in with the examples as they stand, gives the token,
// fills the cart, orders, pays on the payment page, and reads the order as paid.
//
//   purchase.js <address of the shop> <Chromium> [folder for pictures of every step]
import assert from "node:assert/strict";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [shop, executablePath, pictures] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath,
  // Root has no sandbox; the others keep Chromium from asking its makers for news.
  args: ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"],
});
const context = await browser.newContext({ viewport: { width: 1280, height: 1000 } });
context.setDefaultTimeout(30_000);
const page = await context.newPage();

// What the browser itself complains of: script errors, and what the page's policy forbids.
const complaints = [];
page.on("pageerror", (error) => complaints.push(error.message));
page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
page.on("request", (request) => request.url().startsWith(shop) || complaints.push(`asked ${request.url()}`));

let pictured = 0;
async function step(text, tab = page) {
  console.log(`ok    ${text}`);
  pictured += 1;
  if (pictures) {
    const number = String(pictured).padStart(2, "0");
    await tab.screenshot({ path: join(pictures, `${number}-${text.replace(/[^a-z]+/gi, "-")}.png`) });
  }
}

/** Opens an operation, fills its form in, presses Execute, and gives the answer as the page shows it. */
async function execute(operation, { body, ...fields } = {}) {
  const block = page.locator(`.opblock[id$="-${operation}"]`);
  const button = block.locator("button.execute");
  if (!(await button.isVisible())) {
    await block.locator(".opblock-summary-control").click();
  }
  for (const [name, value] of Object.entries(fields)) {
    const row = block.locator(`tr[data-param-name="${name}"]`);
    await ((await row.locator("select").count()) ? row.locator("select").selectOption(value) : row.locator("input").fill(value));
  }
  if (body) {
    await block.locator("textarea.body-param__text").fill(JSON.stringify(body, null, 2));
  }
  // An answer that is shown already may be the one before.
  const answered = page.waitForResponse((response) => response.request().resourceType() === "fetch");
  await button.click();
  const status = (await answered).status();
  const answer = block.locator(".live-responses-table");
  await answer.locator(".response-col_status", { hasText: String(status) }).waitFor();
  // For the pictures.
  await answer.evaluate((shown) => shown.scrollIntoView({ block: "center" }));
  return { status, ...JSON.parse(await answer.locator(".response-col_description pre").first().innerText()) };
}

await page.goto(`${shop}/docs`);
await page.locator(".opblock").first().waitFor();
await step("opens the page");

const account = await execute("register");
assert.equal(account.role, "CUSTOMER");
await step("registers with the example as it stands");

const { accessToken } = await execute("logIn");
assert(accessToken);
await step("logs in with the example as it stands");

await page.locator(".auth-wrapper button.authorize").click();
await page.locator(".modal-ux input").fill(accessToken);
await page.locator(".modal-ux button.authorize").click();
await step("gives the token");
await page.locator(".modal-ux .btn-done").click();
assert.equal((await execute("getMe")).id, account.id);
await step("is known by it");

const { items } = await execute("listProducts", { inStock: "true", sort: "price" });
const product = items[0];
await step("browses");

const cart = await execute("addCartItem", { body: { productId: product.id, quantity: 2 } });
assert.equal(cart.items[0].unitPrice, product.price);
await step("fills the cart");

const order = await execute("placeOrder");
assert.equal(order.status, "PENDING");
assert.equal(order.total, cart.total);
await step("orders with the example as it stands");

const payment = await context.newPage();
await payment.goto(order.payment.checkoutUrl);
await step("opens the payment page", payment);
await payment.getByRole("button", { name: "Pay $" }).click();
await payment.waitForURL(`${shop}/checkout/success?orderId=${order.id}`);
await step("pays", payment);

let read;
for (let tries = 0; tries < 50 && read?.status !== "PAID"; tries += 1) {
  read = await execute("getOrder", { id: order.id });
}
assert.equal(read.status, "PAID");
assert.equal(read.payment.status, "COMPLETED");
await step("reads the order: it is paid");

assert.deepEqual(complaints, []);
await browser.close();
