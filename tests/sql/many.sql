-- A shop after years of trade, for tests of plans: many rows in every table that grows, in the shares of a real shop.
-- How many is told by the settings fill.users, fill.products and fill.orders. Nothing checks foreign keys meanwhile
-- (session_replication_role), so that it takes seconds; what is written keeps to them.

SET session_replication_role = replica;
SET synchronous_commit = off;

-- Ids as the shop mints them: UUIDv7, in the order of time; the same for the same kind and number.
CREATE FUNCTION pg_temp.id(kind INTEGER, n BIGINT, at TIMESTAMPTZ) RETURNS UUID LANGUAGE sql IMMUTABLE AS $$
    SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex(kind), 3, '0')
            || '8' || lpad(to_hex(n), 15, '0'))::uuid
$$;

-- When the nth of so many things came about: evenly over two years, the last one just now.
CREATE FUNCTION pg_temp.moment(n BIGINT, count BIGINT) RETURNS TIMESTAMPTZ LANGUAGE sql STABLE AS $$
    SELECT date_trunc('milliseconds', now() - interval '2 years' * ((count - n)::float8 / count))
$$;

CREATE TEMPORARY VIEW size AS
    SELECT current_setting('fill.users')::bigint AS users, current_setting('fill.products')::bigint AS products,
           current_setting('fill.orders')::bigint AS orders;

CREATE TEMPORARY TABLE person AS
    SELECT n, pg_temp.moment(n, users) AS at, pg_temp.id(1, n, pg_temp.moment(n, users)) AS id
    FROM size, generate_series(1, users) AS n;
CREATE TEMPORARY TABLE good AS
    SELECT n, pg_temp.moment(n, products) AS at, pg_temp.id(2, n, pg_temp.moment(n, products)) AS id
    FROM size, generate_series(1, products) AS n;
CREATE TEMPORARY TABLE sale AS
    SELECT n, at, pg_temp.id(3, n, at) AS id, 1 + (n * 7919) % users AS customer, 1 + (n * 104729) % products AS good,
           -- The last ones are pending, every thousandth of them overdue; the others have ended in one way or other.
           CASE WHEN n > orders * 0.995 THEN 'PENDING' WHEN n % 6 = 0 THEN 'CANCELLED' WHEN n > orders * 0.98 THEN 'PAID'
                WHEN n > orders * 0.95 THEN 'SHIPPED' ELSE 'DELIVERED' END AS status
    FROM (SELECT n, pg_temp.moment(n, orders) AS at FROM size, generate_series(1, orders) AS n) AS made, size;
CREATE INDEX ON person (n);
CREATE INDEX ON good (n);
ANALYZE person, good, sale;

INSERT INTO users (id, email, name, password_hash, role, created_at)
    SELECT id, 'person' || n || '@example.com', 'Person', '$argon2id$none', CASE n WHEN 1 THEN 'ADMIN' ELSE 'CUSTOMER' END, at
    FROM person;

INSERT INTO sessions (id, user_id, created_at, expires_at, ended_at)
    SELECT pg_temp.id(4, n, at), id, now() - age, now() - age + interval '30 days', CASE n % 3 WHEN 0 THEN now() END
    FROM (SELECT *, interval '30 days' * (n::float8 / users) - interval '1 minute' AS age FROM person, size) AS person;
INSERT INTO refresh_tokens (token_hash, session_id, created_at, spent_at)
    SELECT sha256((n || ' ' || t)::bytea), pg_temp.id(4, n, at), at, CASE WHEN t > 1 THEN now() END
    FROM person, generate_series(1, 3) AS t;

INSERT INTO auth_attempts (kind, network, account_hash, state, since)
    SELECT 'LOGIN', ('10.' || n / 65536 % 256 || '.' || n / 256 % 256 || '.' || n % 256)::cidr, sha256(n::text::bytea), 'FAILED',
           now() - interval '1 day' * (n::float8 / users)
    FROM person, size;
INSERT INTO auth_known_addresses (account_hash, network, last_login_at)
    SELECT sha256(n::text::bytea), ('10.' || n / 65536 % 256 || '.' || n / 256 % 256 || '.' || n % 256)::cidr,
           now() - interval '30 days' * (n::float8 / users)
    FROM person, size;

INSERT INTO products (id, name, name_key, description, search_text, price_minor, stock, archived_at, created_at, updated_at)
    SELECT id, name, lower(name), text, lower(name || E'\n' || text), 100 + (n * 6151) % 100000,
           CASE WHEN n % 20 = 0 THEN 0 ELSE 1000000 END, CASE WHEN n % 50 = 0 THEN now() END, at, at
    FROM (SELECT *, word || ' ' || n AS name, 'Made of ' || word || ' in town number ' || n % 997 AS text
          FROM (SELECT *, (ARRAY ['Walnut bowl', 'Copper kettle', 'Linen towel', 'Wool blanket', 'Oak stool', 'Glass vase',
                                  'Cork board', 'Iron hook', 'Clay pot', 'Silk scarf'])[1 + n % 40] AS kind FROM good) AS named,
               LATERAL (SELECT coalesce(kind, 'Thing of kind ' || n % 400) AS word) AS worded
         ) AS described;

INSERT INTO carts (user_id, updated_at) SELECT id, now() FROM person WHERE n % 2 = 0;
INSERT INTO cart_items (user_id, product_id, quantity, added_at)
    SELECT person.id, good.id, 1, now()
    FROM person, generate_series(1, 2) AS line, size, good
    WHERE person.n % 2 = 0 AND good.n = 1 + (person.n * 31 + line * 17) % products;

INSERT INTO orders (id, customer_id, status, payment_status, total_minor, currency, shipping_address, tracking_number, flags,
                    created_at, expires_at, due_at, paid_at, shipped_at, delivered_at, cancelled_at, cancelled_by)
    SELECT sale.id, person.id, status,
           CASE WHEN status = 'PENDING' THEN 'PENDING' WHEN status = 'CANCELLED' AND sale.n % 4 = 0 THEN 'REFUNDED'
                WHEN status = 'CANCELLED' AND sale.n % 4 = 2 THEN 'FAILED' WHEN status = 'CANCELLED' THEN 'PENDING'
                WHEN sale.n % 1000 = 1 THEN 'REFUND_PENDING' ELSE 'COMPLETED' END,
           2000, 'USD', '1 Main Street', CASE WHEN status IN ('SHIPPED', 'DELIVERED') THEN 'TRACK' || sale.n END,
           CASE WHEN sale.n % 500 = 1 THEN ARRAY ['FRAUD_WARNING'] ELSE '{}' END,
           sale.at, sale.at + interval '30 minutes',
           CASE WHEN status = 'PENDING' THEN now() + CASE sale.n % 1000 WHEN 0 THEN -1 ELSE 1 END * interval '20 minutes' END,
           CASE WHEN status IN ('PAID', 'SHIPPED', 'DELIVERED') OR status = 'CANCELLED' AND sale.n % 4 = 0 THEN sale.at END,
           CASE WHEN status IN ('SHIPPED', 'DELIVERED') THEN sale.at END, CASE WHEN status = 'DELIVERED' THEN sale.at END,
           CASE WHEN status = 'CANCELLED' THEN sale.at + interval '31 minutes' END,
           CASE WHEN status = 'CANCELLED' THEN (ARRAY ['CUSTOMER', 'SYSTEM', 'ADMIN'])[1 + sale.n / 6 % 3] END
    FROM sale JOIN person ON person.n = sale.customer;

INSERT INTO order_lines (order_id, position, product_id, name, unit_price_minor, quantity)
    SELECT sale.id, line, good.id, 'A good', 1000, 1
    FROM sale, generate_series(0, 1) AS line, size, good WHERE good.n = 1 + (sale.good + line) % products;
INSERT INTO stock_movements (id, product_id, delta, stock_after, reason, order_id, created_at)
    SELECT pg_temp.id(5 + line, sale.n, sale.at), good.id, -1, 1000000, 'order placed', sale.id, sale.at
    FROM sale, generate_series(0, 1) AS line, size, good WHERE good.n = 1 + (sale.good + line) % products;

INSERT INTO order_history (order_id, position, from_status, to_status, at, by)
    SELECT id, 0, NULL, 'PENDING', at, 'CUSTOMER' FROM sale
    UNION ALL SELECT id, 1, 'PENDING', CASE status WHEN 'CANCELLED' THEN status ELSE 'PAID' END, at, 'PROVIDER' FROM sale
    WHERE status <> 'PENDING';

INSERT INTO checkout_attempts (id, order_id, position, request, state, session_id, session_url, session_expires_at, ending,
                               created_at)
    SELECT pg_temp.id(7, n, at), id, 0, NULL, CASE status WHEN 'PENDING' THEN 'OPEN' ELSE 'ENDED' END, 'cs_' || n,
           'https://pay.example.com', at + interval '31 minutes',
           CASE status WHEN 'PENDING' THEN NULL WHEN 'CANCELLED' THEN 'EXPIRED' ELSE 'PAID' END, at
    FROM sale;
INSERT INTO receipts (intent, order_id, position, amount_minor, currency, kind, received_at)
    SELECT 'pi_' || n, id, 0, 2000, 'USD', 'PAYMENT', at FROM sale
    WHERE status IN ('PAID', 'SHIPPED', 'DELIVERED') OR status = 'CANCELLED' AND n % 4 = 0;
INSERT INTO refunds (id, intent, position, amount_minor, status)
    SELECT 're_' || n, 'pi_' || n, 0, 2000, CASE WHEN n > orders * 0.999 THEN 'pending' ELSE 'succeeded' END FROM sale, size
    WHERE status = 'CANCELLED' AND n % 4 = 0;
INSERT INTO refund_requests (id, intent, position, amount_minor, outcome)
    SELECT pg_temp.id(8, n, at), 'pi_' || n, 0, 2000, CASE WHEN n > orders * 0.999 THEN 'OPEN' ELSE 'ANSWERED' END
    FROM sale, size WHERE status = 'CANCELLED' AND n % 4 = 0;
INSERT INTO tasks (id, order_id, kind, subject_id, created_at, due_at, finished_at)
    SELECT pg_temp.id(9, n, at), id, 'CLOSE_SESSION', pg_temp.id(7, n, at), at, at, at FROM sale WHERE status = 'CANCELLED';

INSERT INTO provider_events (id, provider_event_id, type, status, order_id, intent, payload, received_at, applied_at)
    SELECT pg_temp.id(10, n, at), 'evt_' || n,
           CASE n % 5 WHEN 0 THEN 'charge.refunded' ELSE 'checkout.session.completed' END, fate, id, 'pi_' || n,
           CASE WHEN fate IN ('APPLIED', 'IGNORED') AND at < now() - interval '30 days' THEN NULL
                ELSE '{"id": "evt", "type": "checkout.session.completed"}' END,
           at, CASE fate WHEN 'APPLIED' THEN at END
    FROM (SELECT *, CASE n % 1000 WHEN 7 THEN 'FAILED' WHEN 8 THEN 'WAITING' WHEN 9 THEN 'IGNORED' ELSE 'APPLIED' END AS fate
          FROM sale) AS told;
INSERT INTO idempotency_keys (user_id, key, fingerprint, claim, alive_at, created_at, status, content_type, body)
    SELECT person.id, 'key ' || sale.n, sha256(sale.id::text::bytea), sale.n, now(),
           now() - interval '1 day' * (sale.n::float8 / orders), 201, 'application/json', '{}'
    FROM sale JOIN person ON person.n = sale.customer, size WHERE sale.n % 2 = 0;

DROP TABLE sale, good, person;
DROP VIEW size;
RESET session_replication_role;
RESET synchronous_commit;
