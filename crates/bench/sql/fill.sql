-- Fills the database that every measurement begins with a copy of. Ids are UUIDv7 in form; they end in an 8 and 15
-- decimal digits, so that a pgbench script makes them of a whole number with one concatenation.

INSERT INTO products (id, name, name_key, description, search_text, price_minor, stock, created_at, updated_at)
SELECT ('0000000000017000' || 8000000000000000 + n)::uuid, name, lower(name), description,
       lower(name || E'\n' || description), 500 + (n * 7919) % 20000, 100000000,
       now() - make_interval(mins => n), now() - make_interval(mins => n)
FROM generate_series(1, :products) AS n,
     LATERAL (SELECT 'Product ' || lpad(n::text, 5, '0') || ' of the bench' AS name) AS named,
     LATERAL (SELECT 'A thing that is sold here, number ' || n || '. ' || repeat('It has a description of usual length. ', 4)
              || 'It ends here.' AS description) AS described;

INSERT INTO stock_movements (id, product_id, delta, stock_after, reason, created_at)
SELECT id, id, stock, stock, 'filled', created_at FROM products ORDER BY id;

INSERT INTO users (id, email, name, password_hash, role, created_at)
SELECT ('0000000000027000' || 8000000000000000 + n)::uuid, 'customer' || n || '@shop.example', 'Customer ' || n,
       ':password_hash', 'CUSTOMER', now() - interval '30 days'
FROM generate_series(1, :customers) AS n;

INSERT INTO sessions (id, user_id, created_at, expires_at)
SELECT ('0000000000037000' || 8000000000000000 + n)::uuid, ('0000000000027000' || 8000000000000000 + n)::uuid,
       now() - interval '1 minute', now() + interval '30 days'
FROM generate_series(1, :customers) AS n;

-- A cart's row is made once in a customer's life.
INSERT INTO carts (user_id, updated_at) SELECT id, now() FROM users;

-- Reconciliation asks the provider about every open session each 10 minutes: not in anybody's window.
INSERT INTO turns (name, due_at) VALUES ('reconciliation', now() + interval '1 day');

-- The planner learns of what is there; the empty tables are left to its guess, which is the better one for tables that
-- are about to grow.
ANALYZE products, stock_movements, users, sessions, carts;
