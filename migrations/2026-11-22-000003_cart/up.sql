-- One cart per customer. A customer's row is locked before their cart changes, so its lines are never raced for.

CREATE TABLE carts (
    user_id UUID CONSTRAINT carts_pkey PRIMARY KEY
        CONSTRAINT carts_user_id_fkey REFERENCES users (id),
    updated_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE cart_items (
    user_id UUID NOT NULL CONSTRAINT cart_items_user_id_fkey REFERENCES users (id),
    product_id UUID NOT NULL CONSTRAINT cart_items_product_id_fkey REFERENCES products (id),
    quantity INTEGER NOT NULL,
    added_at TIMESTAMPTZ NOT NULL,
    CONSTRAINT cart_items_pkey PRIMARY KEY (user_id, product_id),
    CONSTRAINT cart_items_quantity_bounded CHECK (quantity BETWEEN 1 AND 1000)
);
