-- Two lines for every cart that is empty: one unit each of two products that other carts seldom hold at once.

INSERT INTO cart_items (user_id, product_id, quantity, added_at)
SELECT ('0000000000027000' || 8000000000000000 + n)::uuid,
       ('0000000000017000' || 8000000000000001 + (n * 7919 + line * 503) % :products)::uuid, 1, now()
FROM generate_series(1, :customers) AS n, generate_series(0, 1) AS line
WHERE NOT EXISTS (SELECT FROM cart_items WHERE user_id = ('0000000000027000' || 8000000000000000 + n)::uuid);
