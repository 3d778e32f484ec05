-- Every list is served by an index, and no index serves nothing (`tests/tests/shop/query_plans.rs` looks at both).

-- Admins' lists of orders: each pair of states is a stretch of this index, in the order of the list, and every list is
-- some of the stretches. Three indexes cost more to write, and left rare pairs to be searched for among millions.
CREATE INDEX orders_by_standing ON orders (status, payment_status, created_at DESC, id DESC);
DROP INDEX orders_by_status;
DROP INDEX orders_by_payment_status;
DROP INDEX orders_newest;

-- Events that are not simply applied are few; of each kind, the newest come first.
CREATE INDEX provider_events_unapplied ON provider_events (status, received_at DESC, id DESC) WHERE status <> 'APPLIED';
DROP INDEX provider_events_failed;

-- Lists of the few admins, and of those who are blocked.
CREATE INDEX users_admins ON users (created_at, id) WHERE role = 'ADMIN';
CREATE INDEX users_blocked ON users (created_at, id) WHERE blocked;

-- A part of an e-mail address is found through trigrams, where the extension is to be had (see `products_live_search`).
DO $$
BEGIN
    CREATE INDEX users_email_search ON users USING gin (email gin_trgm_ops) WITH (fastupdate = off);
EXCEPTION
    WHEN undefined_object THEN
        RAISE NOTICE 'pg_trgm is not available: users are searched for without an index (%)', SQLERRM;
END
$$;

-- Products are written seldom and searched for often: each search would read the list of what is not sorted in yet.
ALTER INDEX IF EXISTS products_live_search SET (fastupdate = off);

-- A line is found by its order, in which a product stands once; a movement by its product. What else was unique about
-- them was only ever written.
ALTER TABLE order_lines
    DROP CONSTRAINT order_lines_pkey,
    DROP CONSTRAINT order_lines_one_per_product,
    ADD CONSTRAINT order_lines_pkey PRIMARY KEY (order_id, product_id);
ALTER TABLE stock_movements
    DROP CONSTRAINT stock_movements_pkey,
    ADD CONSTRAINT stock_movements_pkey PRIMARY KEY USING INDEX stock_movements_product_seq_key;
