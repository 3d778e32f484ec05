ALTER TABLE stock_movements
    DROP CONSTRAINT stock_movements_pkey,
    ADD CONSTRAINT stock_movements_pkey PRIMARY KEY (id);
CREATE UNIQUE INDEX stock_movements_product_seq_key ON stock_movements (product_id, seq);
ALTER TABLE order_lines
    DROP CONSTRAINT order_lines_pkey,
    ADD CONSTRAINT order_lines_pkey PRIMARY KEY (order_id, position),
    ADD CONSTRAINT order_lines_one_per_product UNIQUE (order_id, product_id);
ALTER INDEX IF EXISTS products_live_search RESET (fastupdate);
DROP INDEX IF EXISTS users_email_search;
DROP INDEX users_blocked;
DROP INDEX users_admins;
CREATE INDEX provider_events_failed ON provider_events (received_at DESC, id DESC) WHERE status = 'FAILED';
DROP INDEX provider_events_unapplied;
CREATE INDEX orders_newest ON orders (created_at DESC, id DESC);
CREATE INDEX orders_by_payment_status ON orders (payment_status, created_at DESC, id DESC);
CREATE INDEX orders_by_status ON orders (status, created_at DESC, id DESC);
DROP INDEX orders_by_standing;
