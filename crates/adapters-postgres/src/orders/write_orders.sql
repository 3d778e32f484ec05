-- All that new orders leave behind. Foreign keys are checked when the whole statement has run.
WITH new_orders AS (
    INSERT INTO orders (id, customer_id, status, payment_status, total_minor, currency, shipping_address, created_at,
        expires_at, due_at)
    SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
), new_lines AS (
    INSERT INTO order_lines (order_id, position, product_id, name, unit_price_minor, quantity)
    SELECT * FROM unnest($11, $12, $13, $14, $15, $16)
), new_history AS (
    INSERT INTO order_history (order_id, position, to_status, at, by, actor_id)
    SELECT * FROM unnest($17, $18, $19, $20, $21, $22)
), new_attempts AS (
    INSERT INTO checkout_attempts (id, order_id, position, request, state, created_at)
    SELECT * FROM unnest($23, $24, $25, $26, $27, $28)
), stock_taken AS (
    UPDATE products SET stock = products.stock + moved.delta
    FROM unnest($29, $30) AS moved (product_id, delta) WHERE products.id = moved.product_id
    RETURNING 1
), new_movements AS (
    INSERT INTO stock_movements (id, product_id, delta, stock_after, reason, order_id, actor_id, created_at)
    SELECT * FROM unnest($31, $32, $33, $34, $35, $36, $37, $38)
), lines_ordered AS (
    DELETE FROM cart_items WHERE user_id = ANY ($39)
), carts_emptied AS (
    UPDATE carts SET updated_at = emptied.at
    FROM unnest($39, $40) AS emptied (user_id, at) WHERE carts.user_id = emptied.user_id
), effects_marked AS (
    UPDATE idempotency_keys AS held SET order_id = done.order_id, alive_at = clock_timestamp()
    FROM unnest($41, $42, $43, $44) AS done (user_id, key, claim, order_id)
    WHERE held.user_id = done.user_id AND held.key = done.key AND held.claim = done.claim
    RETURNING 1
)
SELECT (SELECT count(*) FROM stock_taken) AS products, (SELECT count(*) FROM effects_marked) AS effects
