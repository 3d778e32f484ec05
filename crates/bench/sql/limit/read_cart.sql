-- GET /cart: when it was changed, and its lines with today's prices. Nothing is locked, nothing is written.
SELECT coalesce(carts.updated_at, users.created_at) FROM users LEFT JOIN carts ON carts.user_id = users.id
WHERE users.id = ('0000000000027000' || :customer)::uuid;
SELECT id, name, price_minor, stock, archived_at, quantity FROM cart_items JOIN products ON products.id = product_id
WHERE user_id = ('0000000000027000' || :customer)::uuid ORDER BY added_at, product_id;
