-- What the one-call form calls: the statements of add_item.sql, place.sql and keep_session.sql, without a round trip in
-- between. It is shown beside the limit, since it is what PostgreSQL can do if all of a transaction is put into it.

CREATE FUNCTION bench_add_item(customer uuid, product uuid) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    on_sale bigint;
    lines bigint;
BEGIN
    PERFORM 1 FROM users WHERE id = customer FOR NO KEY UPDATE;
    SELECT (SELECT stock FROM products WHERE id = product AND archived_at IS NULL),
           (SELECT count(*) FROM cart_items WHERE user_id = customer) INTO on_sale, lines;
    INSERT INTO cart_items AS item (user_id, product_id, quantity, added_at) VALUES (customer, product, 1, now())
    ON CONFLICT (user_id, product_id) DO UPDATE SET quantity = item.quantity + 1;
    INSERT INTO carts (user_id, updated_at) VALUES (customer, now())
    ON CONFLICT (user_id) DO UPDATE SET updated_at = excluded.updated_at;
    RETURN (SELECT sum(price_minor * quantity) FROM cart_items JOIN products ON products.id = product_id
            WHERE user_id = customer);
END $$;

CREATE FUNCTION bench_place(customer uuid, number bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    placed uuid := ('0000000000047000' || number)::uuid;
    pending bigint;
    cancelled bigint;
    expired bigint;
    wanted uuid[];
    quantities int[];
    names text[];
    prices bigint[];
    stocks bigint[];
    total bigint;
BEGIN
    PERFORM email, created_at FROM users WHERE id = customer FOR NO KEY UPDATE;
    SELECT (SELECT count(*) FROM orders WHERE customer_id = customer AND status = 'PENDING'),
           (SELECT count(*) FROM orders WHERE customer_id = customer AND status = 'CANCELLED'
            AND cancelled_at > now() - interval '24 hours' AND cancelled_by = 'CUSTOMER'),
           (SELECT count(*) FROM orders WHERE customer_id = customer AND status = 'CANCELLED'
            AND cancelled_at > now() - interval '24 hours' AND cancelled_by = 'SYSTEM')
    INTO pending, cancelled, expired;
    SELECT array_agg(product_id ORDER BY product_id), array_agg(quantity ORDER BY product_id)
    FROM (SELECT product_id, quantity FROM cart_items WHERE user_id = customer ORDER BY added_at, product_id
          FOR UPDATE) AS line INTO wanted, quantities;
    IF wanted IS NULL THEN
        RAISE EXCEPTION 'the cart of % is empty', customer;
    END IF;
    SELECT array_agg(name), array_agg(price_minor), array_agg(stock)
    FROM (SELECT name, price_minor, stock FROM products WHERE id = ANY (wanted) ORDER BY id FOR NO KEY UPDATE) AS product
    INTO names, prices, stocks;
    SELECT sum(price * quantity) FROM unnest(prices, quantities) AS line (price, quantity) INTO total;
    INSERT INTO orders (id, customer_id, status, payment_status, total_minor, currency, shipping_address, flags,
                        created_at, expires_at, due_at)
    VALUES (placed, customer, 'PENDING', 'PENDING', total, 'USD', '1 Bench Street, 12345 Loadville', '{}', now(),
            now() + interval '30 minutes', now() + interval '30 minutes');
    INSERT INTO order_lines (order_id, position, product_id, name, unit_price_minor, quantity)
    SELECT placed, line.position - 1, line.product_id, line.name, line.price, line.quantity
    FROM unnest(wanted, names, prices, quantities) WITH ORDINALITY
         AS line (product_id, name, price, quantity, position);
    INSERT INTO order_history (order_id, position, to_status, at, by, actor_id)
    VALUES (placed, 0, 'PENDING', now(), 'CUSTOMER', customer);
    INSERT INTO checkout_attempts (id, order_id, position, request, state, created_at)
    VALUES (placed, placed, 0,
            '{"lines":[{"name":"Product 00001 of the bench","currency":"USD","quantity":1,"unit_price_minor":12345},{"name":"Product 00002 of the bench","currency":"USD","quantity":1,"unit_price_minor":12345}],"cancel_url":"http://localhost:8080/checkout/cancel?orderId=00000000-0000-7000-8000-000000000000","success_url":"http://localhost:8080/checkout/success?orderId=00000000-0000-7000-8000-000000000000","customer_email":"customer12345@shop.example","expires_at_seconds":1790000000}',
            'REQUESTED', now());
    UPDATE products SET stock = stock - line.quantity FROM unnest(wanted, quantities) AS line (product_id, quantity)
    WHERE id = line.product_id;
    INSERT INTO stock_movements (id, product_id, delta, stock_after, reason, order_id, actor_id, created_at)
    SELECT ('0000000000' || 40 + line.position || '7000' || number)::uuid, line.product_id, -line.quantity,
           line.stock - line.quantity, 'order placed', placed, customer, now()
    FROM unnest(wanted, stocks, quantities) WITH ORDINALITY AS line (product_id, stock, quantity, position);
    DELETE FROM cart_items WHERE user_id = customer;
    UPDATE carts SET updated_at = now() WHERE user_id = customer;
    RETURN total;
END $$;

CREATE FUNCTION bench_keep_session(placed uuid, session text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM status, due_at FROM orders WHERE id = placed FOR NO KEY UPDATE;
    PERFORM id, state FROM checkout_attempts WHERE order_id = placed ORDER BY position;
    UPDATE checkout_attempts
    SET state = 'OPEN', session_id = session,
        session_url = 'https://checkout.stripe.com/c/pay/cs_limit_000000000000000000000000000000000000000' || session,
        session_expires_at = now() + interval '31 minutes'
    WHERE id = placed;
END $$;
