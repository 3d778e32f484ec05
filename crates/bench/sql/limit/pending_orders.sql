-- Pending orders for hear_payment.sql, under the ids that its clients take in this run of pgbench. They take no stock:
-- payments never look at it. Numbers in place of :run, :clients and :each.
INSERT INTO orders (id, customer_id, status, payment_status, total_minor, currency, shipping_address, flags, created_at,
                    expires_at, due_at)
SELECT ('0000000000047000' || 8000000000000000 + :run * 100000000000 + client * 100000000 + n)::uuid,
       ('0000000000027000' || 8000000000000001 + (client * :each + n) % 20000)::uuid, 'PENDING', 'PENDING', 12345, 'USD',
       '1 Bench Street, 12345 Loadville', '{}', now(), now() + interval '30 minutes', now() + interval '30 minutes'
FROM generate_series(0::bigint, :clients - 1) AS client, generate_series(0::bigint, :each - 1) AS n;
INSERT INTO order_lines (order_id, position, product_id, name, unit_price_minor, quantity)
SELECT id, 0, '00000000-0001-7000-8000-000000000001', 'Product 00001 of the bench', 12345, 1 FROM orders
WHERE id >= ('0000000000047000' || 8000000000000000 + :run * 100000000000)::uuid
  AND id < ('0000000000047000' || 8000000000000000 + (:run + 1) * 100000000000)::uuid;
INSERT INTO order_history (order_id, position, to_status, at, by, actor_id)
SELECT id, 0, 'PENDING', now(), 'CUSTOMER', customer_id FROM orders
WHERE id >= ('0000000000047000' || 8000000000000000 + :run * 100000000000)::uuid
  AND id < ('0000000000047000' || 8000000000000000 + (:run + 1) * 100000000000)::uuid;
INSERT INTO checkout_attempts (id, order_id, position, request, state, session_id, session_url, session_expires_at, created_at)
SELECT id, id, 0,
       '{"lines":[{"name":"Product 00001 of the bench","currency":"USD","quantity":1,"unit_price_minor":12345}],"cancel_url":"http://localhost:8080/checkout/cancel?orderId=00000000-0000-7000-8000-000000000000","success_url":"http://localhost:8080/checkout/success?orderId=00000000-0000-7000-8000-000000000000","customer_email":"customer12345@shop.example","expires_at_seconds":1790000000}',
       'OPEN', 'cs_limit_' || right(replace(id::text, '-', ''), 16), 'https://checkout.stripe.com/c/pay/cs_limit',
       now() + interval '31 minutes', now() FROM orders
WHERE id >= ('0000000000047000' || 8000000000000000 + :run * 100000000000)::uuid
  AND id < ('0000000000047000' || 8000000000000000 + (:run + 1) * 100000000000)::uuid;
