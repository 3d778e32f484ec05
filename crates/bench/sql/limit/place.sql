-- POST /orders, before the provider is asked: customer, cart lines and products are locked in this order, what the
-- fraud rules look at is counted, order, lines, history and attempt are written, stock is taken and put into the
-- ledger, the cart is emptied. One commit. The arrays are how the shop writes any number of lines in one statement.
BEGIN;
SELECT email, created_at FROM users WHERE id = ('0000000000027000' || :customer)::uuid FOR NO KEY UPDATE;
SELECT (SELECT count(*) FROM orders WHERE customer_id = ('0000000000027000' || :customer)::uuid AND status = 'PENDING'),
       (SELECT count(*) FROM orders WHERE customer_id = ('0000000000027000' || :customer)::uuid AND status = 'CANCELLED'
        AND cancelled_at > now() - interval '24 hours' AND cancelled_by = 'CUSTOMER'),
       (SELECT count(*) FROM orders WHERE customer_id = ('0000000000027000' || :customer)::uuid AND status = 'CANCELLED'
        AND cancelled_at > now() - interval '24 hours' AND cancelled_by = 'SYSTEM');
SELECT array_agg(product_id ORDER BY product_id) AS products, array_agg(quantity ORDER BY product_id) AS quantities
FROM (SELECT product_id, quantity FROM cart_items WHERE user_id = ('0000000000027000' || :customer)::uuid
      ORDER BY added_at, product_id FOR UPDATE) AS line \gset
SELECT array_agg(name) AS names, array_agg(price_minor) AS prices, array_agg(stock) AS stocks
FROM (SELECT name, price_minor, stock FROM products WHERE id = ANY (:products::uuid[]) ORDER BY id
      FOR NO KEY UPDATE) AS product \gset
INSERT INTO orders (id, customer_id, status, payment_status, total_minor, currency, shipping_address, flags, created_at,
                    expires_at, due_at)
SELECT ('0000000000047000' || :id)::uuid, ('0000000000027000' || :customer)::uuid, 'PENDING', 'PENDING',
       sum(price * quantity), 'USD', '1 Bench Street, 12345 Loadville', '{}', now(), now() + interval '30 minutes',
       now() + interval '30 minutes'
FROM unnest(:prices::bigint[], :quantities::int[]) AS line (price, quantity);
INSERT INTO order_lines (order_id, position, product_id, name, unit_price_minor, quantity)
SELECT ('0000000000047000' || :id)::uuid, position - 1, product_id, name, price, quantity
FROM unnest(:products::uuid[], :names::text[], :prices::bigint[], :quantities::int[]) WITH ORDINALITY
     AS line (product_id, name, price, quantity, position);
INSERT INTO order_history (order_id, position, to_status, at, by, actor_id)
VALUES (('0000000000047000' || :id)::uuid, 0, 'PENDING', now(), 'CUSTOMER', ('0000000000027000' || :customer)::uuid);
INSERT INTO checkout_attempts (id, order_id, position, request, state, created_at)
VALUES (('0000000000047000' || :id)::uuid, ('0000000000047000' || :id)::uuid, 0,
        '{"lines":[{"name":"Product 00001 of the bench","currency":"USD","quantity":1,"unit_price_minor":12345},{"name":"Product 00002 of the bench","currency":"USD","quantity":1,"unit_price_minor":12345}],"cancel_url":"http://localhost:8080/checkout/cancel?orderId=00000000-0000-7000-8000-000000000000","success_url":"http://localhost:8080/checkout/success?orderId=00000000-0000-7000-8000-000000000000","customer_email":"customer12345@shop.example","expires_at_seconds":1790000000}',
        'REQUESTED', now());
UPDATE products SET stock = stock - line.quantity FROM unnest(:products::uuid[], :quantities::int[])
       AS line (product_id, quantity) WHERE id = line.product_id;
INSERT INTO stock_movements (id, product_id, delta, stock_after, reason, order_id, actor_id, created_at)
SELECT ('0000000000' || 40 + position || '7000' || :id)::uuid, product_id, -quantity, stock - quantity, 'order placed',
       ('0000000000047000' || :id)::uuid, ('0000000000027000' || :customer)::uuid, now()
FROM unnest(:products::uuid[], :stocks::bigint[], :quantities::int[]) WITH ORDINALITY
     AS line (product_id, stock, quantity, position);
DELETE FROM cart_items WHERE user_id = ('0000000000027000' || :customer)::uuid;
UPDATE carts SET updated_at = now() WHERE user_id = ('0000000000027000' || :customer)::uuid;
COMMIT;
