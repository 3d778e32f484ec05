-- POST /cart/items: the customer is locked, stock and line are looked at, the line is written, the cart is noted as
-- changed and read as it is now. One commit.
BEGIN;
SELECT 1 FROM users WHERE id = ('0000000000027000' || :customer)::uuid FOR NO KEY UPDATE;
SELECT (SELECT stock FROM products WHERE id = ('0000000000017000' || :product)::uuid AND archived_at IS NULL),
       (SELECT quantity FROM cart_items WHERE user_id = ('0000000000027000' || :customer)::uuid
        AND product_id = ('0000000000017000' || :product)::uuid),
       (SELECT count(*) FROM cart_items WHERE user_id = ('0000000000027000' || :customer)::uuid);
INSERT INTO cart_items (user_id, product_id, quantity, added_at)
VALUES (('0000000000027000' || :customer)::uuid, ('0000000000017000' || :product)::uuid, 1, now())
ON CONFLICT (user_id, product_id) DO UPDATE SET quantity = cart_items.quantity + 1;
INSERT INTO carts (user_id, updated_at) VALUES (('0000000000027000' || :customer)::uuid, now())
ON CONFLICT (user_id) DO UPDATE SET updated_at = excluded.updated_at;
SELECT id, name, price_minor, stock, archived_at, quantity FROM cart_items JOIN products ON products.id = product_id
WHERE user_id = ('0000000000027000' || :customer)::uuid ORDER BY added_at, product_id;
COMMIT;
