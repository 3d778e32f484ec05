-- The catalogue and the ledger of its stock.

CREATE TABLE products (
    id UUID CONSTRAINT products_pkey PRIMARY KEY,
    name TEXT NOT NULL,
    -- The name in lower case, folded by the shop and not by the database, whose lower() depends on its locale.
    name_key TEXT COLLATE "C" NOT NULL,
    description TEXT,
    -- Name and description in lower case, for `q`.
    search_text TEXT COLLATE "C" NOT NULL,
    price_minor BIGINT NOT NULL,
    stock BIGINT NOT NULL,
    -- Counts the edits by admins; sales leave it alone.
    edit_version BIGINT NOT NULL DEFAULT 1,
    archived_at TIMESTAMPTZ,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    CONSTRAINT products_name_length CHECK (char_length(name) BETWEEN 2 AND 200),
    CONSTRAINT products_description_length CHECK (char_length(description) BETWEEN 1 AND 5000),
    CONSTRAINT products_price_positive CHECK (price_minor BETWEEN 1 AND 9999999999),
    CONSTRAINT products_stock_not_negative CHECK (stock >= 0),
    CONSTRAINT products_edit_version_positive CHECK (edit_version >= 1)
)
-- A sale changes `stock` alone, which no index holds: with room on the page the update stays within it (HOT).
WITH (fillfactor = 75);

-- An archived product's name is free again.
CREATE UNIQUE INDEX products_name_live_key ON products (name_key) WHERE archived_at IS NULL;

-- One index per order of the public list; each is read in both directions.
CREATE INDEX products_live_by_created_at ON products (created_at, id) WHERE archived_at IS NULL;
CREATE INDEX products_live_by_price ON products (price_minor, id) WHERE archived_at IS NULL;
CREATE INDEX products_live_by_name ON products (name_key, id) WHERE archived_at IS NULL;

-- `q` finds its rows through trigrams. Where the extension is not to be had, the list is the same, only slower.
DO $$
BEGIN
    CREATE EXTENSION IF NOT EXISTS pg_trgm;
    CREATE INDEX products_live_search ON products USING gin (search_text gin_trgm_ops) WHERE archived_at IS NULL;
EXCEPTION
    WHEN insufficient_privilege OR undefined_file OR feature_not_supported THEN
        RAISE NOTICE 'pg_trgm is not available: product search works without an index (%)', SQLERRM;
END
$$;

-- Append-only: the sum of a product's deltas is its stock.
CREATE TABLE stock_movements (
    id UUID CONSTRAINT stock_movements_pkey PRIMARY KEY,
    -- Drawn while the product's row is locked, so that it follows the order of a product's movements.
    seq BIGINT GENERATED ALWAYS AS IDENTITY,
    product_id UUID NOT NULL CONSTRAINT stock_movements_product_id_fkey REFERENCES products (id),
    delta BIGINT NOT NULL,
    stock_after BIGINT NOT NULL,
    reason TEXT NOT NULL,
    order_id UUID,
    actor_id UUID CONSTRAINT stock_movements_actor_id_fkey REFERENCES users (id),
    created_at TIMESTAMPTZ NOT NULL,
    CONSTRAINT stock_movements_delta_not_zero CHECK (delta <> 0),
    CONSTRAINT stock_movements_stock_after_not_negative CHECK (stock_after >= 0),
    CONSTRAINT stock_movements_reason_length CHECK (char_length(reason) BETWEEN 1 AND 200)
);

CREATE UNIQUE INDEX stock_movements_product_seq_key ON stock_movements (product_id, seq);
