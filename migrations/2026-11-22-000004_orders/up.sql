-- Orders, their lines and history. Amounts are whole minor units (cents).

CREATE TABLE orders (
    id                UUID        NOT NULL CONSTRAINT orders_pkey PRIMARY KEY,
    customer_id       UUID        NOT NULL CONSTRAINT orders_customer_fkey REFERENCES users (id),
    status            TEXT        NOT NULL,
    payment_status    TEXT        NOT NULL,
    total_minor       BIGINT      NOT NULL,
    currency          TEXT        NOT NULL,
    shipping_address  TEXT        NOT NULL,
    tracking_number   TEXT,
    flags             TEXT[]      NOT NULL DEFAULT '{}',
    created_at        TIMESTAMPTZ NOT NULL,
    expires_at        TIMESTAMPTZ NOT NULL,
    -- When a pending order is cancelled for age; later than expires_at while it waits for a delayed payment.
    due_at            TIMESTAMPTZ,
    paid_at           TIMESTAMPTZ,
    shipped_at        TIMESTAMPTZ,
    delivered_at      TIMESTAMPTZ,
    cancelled_at      TIMESTAMPTZ,
    cancelled_by      TEXT,
    cancel_reason     TEXT,
    -- Until when the sweep of one instance keeps the others away.
    sweep_lease_until TIMESTAMPTZ,
    CONSTRAINT orders_status_known CHECK (status IN ('PENDING', 'PAID', 'SHIPPED', 'DELIVERED', 'CANCELLED')),
    CONSTRAINT orders_payment_status_known CHECK (
        payment_status IN ('PENDING', 'FAILED', 'COMPLETED', 'REFUND_PENDING', 'REFUNDED', 'REFUND_FAILED')),
    CONSTRAINT orders_total_not_negative CHECK (total_minor >= 0),
    CONSTRAINT orders_currency_is_a_code CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT orders_flags_known CHECK (
        flags <@ ARRAY ['AMOUNT_MISMATCH', 'DISPUTED', 'FRAUD_WARNING', 'REFUND_FAILED']),
    CONSTRAINT orders_pending_is_due CHECK ((status = 'PENDING') = (due_at IS NOT NULL)),
    CONSTRAINT orders_paid_when CHECK (status NOT IN ('PAID', 'SHIPPED', 'DELIVERED') OR paid_at IS NOT NULL),
    CONSTRAINT orders_unpaid_without_date CHECK (status <> 'PENDING' OR paid_at IS NULL),
    CONSTRAINT orders_shipped_when CHECK ((status IN ('SHIPPED', 'DELIVERED')) = (shipped_at IS NOT NULL)),
    CONSTRAINT orders_delivered_when CHECK ((status = 'DELIVERED') = (delivered_at IS NOT NULL)),
    CONSTRAINT orders_cancelled_when CHECK (
        (status = 'CANCELLED') = (cancelled_at IS NOT NULL)
        AND (status = 'CANCELLED') = (cancelled_by IS NOT NULL)),
    CONSTRAINT orders_cancelled_by_known CHECK (cancelled_by IN ('CUSTOMER', 'ADMIN', 'SYSTEM')),
    -- The payment is done in these states and in no other.
    CONSTRAINT orders_paid_is_completed CHECK (
        (paid_at IS NULL) = (payment_status IN ('PENDING', 'FAILED')))
) WITH (fillfactor = 80);

CREATE INDEX orders_newest ON orders (created_at DESC, id DESC);
CREATE INDEX orders_of_customer ON orders (customer_id, created_at DESC, id DESC);
CREATE INDEX orders_by_status ON orders (status, created_at DESC, id DESC);
CREATE INDEX orders_by_payment_status ON orders (payment_status, created_at DESC, id DESC);
CREATE INDEX orders_flagged ON orders (created_at DESC, id DESC) WHERE flags <> '{}';
CREATE INDEX orders_due ON orders (due_at) WHERE status = 'PENDING';
CREATE INDEX orders_pending_of_customer ON orders (customer_id) WHERE status = 'PENDING';
CREATE INDEX orders_cancelled_of_customer ON orders (customer_id, cancelled_at) WHERE status = 'CANCELLED';

CREATE TABLE order_lines (
    order_id         UUID     NOT NULL CONSTRAINT order_lines_order_fkey REFERENCES orders (id),
    position         SMALLINT NOT NULL,
    product_id       UUID     NOT NULL CONSTRAINT order_lines_product_fkey REFERENCES products (id),
    name             TEXT     NOT NULL,
    unit_price_minor BIGINT   NOT NULL,
    quantity         INTEGER  NOT NULL,
    CONSTRAINT order_lines_pkey PRIMARY KEY (order_id, position),
    CONSTRAINT order_lines_one_per_product UNIQUE (order_id, product_id),
    CONSTRAINT order_lines_price_positive CHECK (unit_price_minor > 0),
    CONSTRAINT order_lines_quantity_positive CHECK (quantity > 0)
);

CREATE TABLE order_history (
    order_id    UUID        NOT NULL CONSTRAINT order_history_order_fkey REFERENCES orders (id),
    position    SMALLINT    NOT NULL,
    from_status TEXT,
    to_status   TEXT        NOT NULL,
    at          TIMESTAMPTZ NOT NULL,
    by          TEXT        NOT NULL,
    actor_id    UUID,
    reason      TEXT,
    CONSTRAINT order_history_pkey PRIMARY KEY (order_id, position),
    CONSTRAINT order_history_by_known CHECK (by IN ('CUSTOMER', 'ADMIN', 'SYSTEM', 'PROVIDER'))
);

-- Attempts to be paid, each stored before the provider is asked for its checkout session.

CREATE TABLE checkout_attempts (
    id                 UUID        NOT NULL CONSTRAINT checkout_attempts_pkey PRIMARY KEY,
    order_id           UUID        NOT NULL CONSTRAINT checkout_attempts_order_fkey REFERENCES orders (id),
    position           SMALLINT    NOT NULL,
    -- Everything the provider is asked for; null for a session that the shop learned of from the provider.
    request            JSONB,
    state              TEXT        NOT NULL,
    session_id         TEXT,
    session_url        TEXT,
    session_expires_at TIMESTAMPTZ,
    waits_until        TIMESTAMPTZ,
    ending             TEXT,
    created_at         TIMESTAMPTZ NOT NULL,
    CONSTRAINT checkout_attempts_position_key UNIQUE (order_id, position),
    CONSTRAINT checkout_attempts_session_key UNIQUE (session_id),
    CONSTRAINT checkout_attempts_state_known CHECK (state IN ('REQUESTED', 'OPEN', 'PROCESSING', 'ENDED')),
    CONSTRAINT checkout_attempts_open_complete CHECK (
        state <> 'OPEN' OR (session_id IS NOT NULL AND session_url IS NOT NULL AND session_expires_at IS NOT NULL)),
    CONSTRAINT checkout_attempts_processing_complete CHECK (
        state <> 'PROCESSING' OR (session_id IS NOT NULL AND waits_until IS NOT NULL)),
    CONSTRAINT checkout_attempts_ending_known CHECK (
        (state = 'ENDED') = (ending IS NOT NULL) AND ending IN ('REFUSED', 'EXPIRED', 'PAID', 'FAILED'))
);

-- At most one payable session per order at any time.
CREATE UNIQUE INDEX checkout_attempts_one_live_per_order ON checkout_attempts (order_id)
    WHERE state IN ('REQUESTED', 'OPEN');

-- Money that came in, by payment intent, and what of it went back.

CREATE TABLE receipts (
    intent                TEXT        NOT NULL CONSTRAINT receipts_pkey PRIMARY KEY,
    order_id              UUID        NOT NULL CONSTRAINT receipts_order_fkey REFERENCES orders (id),
    position              SMALLINT    NOT NULL,
    amount_minor          BIGINT      NOT NULL,
    currency              TEXT        NOT NULL,
    kind                  TEXT        NOT NULL,
    received_at           TIMESTAMPTZ NOT NULL,
    charge_refunded_minor BIGINT      NOT NULL DEFAULT 0,
    CONSTRAINT receipts_position_key UNIQUE (order_id, position),
    CONSTRAINT receipts_amount_not_negative CHECK (amount_minor >= 0),
    CONSTRAINT receipts_charge_refunded_not_negative CHECK (charge_refunded_minor >= 0),
    CONSTRAINT receipts_kind_known CHECK (kind IN ('PAYMENT', 'LATE', 'SECOND', 'MISMATCH'))
);

CREATE UNIQUE INDEX receipts_one_payment_per_order ON receipts (order_id) WHERE kind = 'PAYMENT';

CREATE TABLE refunds (
    id           TEXT     NOT NULL CONSTRAINT refunds_pkey PRIMARY KEY,
    intent       TEXT     NOT NULL CONSTRAINT refunds_receipt_fkey REFERENCES receipts (intent),
    position     SMALLINT NOT NULL,
    amount_minor BIGINT   NOT NULL,
    status       TEXT     NOT NULL,
    CONSTRAINT refunds_position_key UNIQUE (intent, position),
    CONSTRAINT refunds_amount_not_negative CHECK (amount_minor >= 0),
    CONSTRAINT refunds_status_known CHECK (
        status IN ('pending', 'requires_action', 'succeeded', 'failed', 'canceled'))
);

CREATE TABLE refund_requests (
    id           UUID     NOT NULL CONSTRAINT refund_requests_pkey PRIMARY KEY,
    intent       TEXT     NOT NULL CONSTRAINT refund_requests_receipt_fkey REFERENCES receipts (intent),
    position     SMALLINT NOT NULL,
    amount_minor BIGINT   NOT NULL,
    outcome      TEXT     NOT NULL,
    CONSTRAINT refund_requests_position_key UNIQUE (intent, position),
    CONSTRAINT refund_requests_amount_positive CHECK (amount_minor > 0),
    CONSTRAINT refund_requests_outcome_known CHECK (outcome IN ('OPEN', 'ANSWERED', 'REFUSED'))
);

CREATE UNIQUE INDEX refund_requests_one_open_per_receipt ON refund_requests (intent) WHERE outcome = 'OPEN';

-- What must yet happen at the provider.

CREATE TABLE tasks (
    id           UUID        NOT NULL CONSTRAINT tasks_pkey PRIMARY KEY,
    order_id     UUID        NOT NULL CONSTRAINT tasks_order_fkey REFERENCES orders (id),
    kind         TEXT        NOT NULL,
    -- The attempt to close, or the refund request to send.
    subject_id   UUID        NOT NULL,
    created_at   TIMESTAMPTZ NOT NULL DEFAULT now(),
    due_at       TIMESTAMPTZ NOT NULL DEFAULT now(),
    lease_until  TIMESTAMPTZ,
    tries        INTEGER     NOT NULL DEFAULT 0,
    last_failure TEXT,
    finished_at  TIMESTAMPTZ,
    CONSTRAINT tasks_kind_known CHECK (kind IN ('CLOSE_SESSION', 'REFUND')),
    CONSTRAINT tasks_tries_not_negative CHECK (tries >= 0)
);

CREATE UNIQUE INDEX tasks_one_unfinished_per_subject ON tasks (subject_id) WHERE finished_at IS NULL;
CREATE INDEX tasks_due ON tasks (due_at) WHERE finished_at IS NULL;

-- The provider's events as they came.

CREATE TABLE provider_events (
    id                UUID        NOT NULL CONSTRAINT provider_events_pkey PRIMARY KEY,
    provider_event_id TEXT        NOT NULL,
    type              TEXT        NOT NULL,
    status            TEXT        NOT NULL,
    reason            TEXT,
    order_id          UUID        CONSTRAINT provider_events_order_fkey REFERENCES orders (id),
    -- The receipt that it concerns.
    intent            TEXT,
    payload           TEXT        NOT NULL,
    received_at       TIMESTAMPTZ NOT NULL,
    applied_at        TIMESTAMPTZ,
    CONSTRAINT provider_events_once UNIQUE (provider_event_id),
    CONSTRAINT provider_events_status_known CHECK (status IN ('APPLIED', 'IGNORED', 'WAITING', 'FAILED')),
    CONSTRAINT provider_events_applied_when CHECK ((status = 'APPLIED') = (applied_at IS NOT NULL)),
    CONSTRAINT provider_events_waiting_for_what CHECK (status <> 'WAITING' OR intent IS NOT NULL)
);

CREATE INDEX provider_events_waiting ON provider_events (intent) WHERE status = 'WAITING';
CREATE INDEX provider_events_newest ON provider_events (received_at DESC, id DESC);
CREATE INDEX provider_events_of_order ON provider_events (order_id, received_at DESC) WHERE order_id IS NOT NULL;

-- The ledger names the order that moved it.
ALTER TABLE stock_movements
    ADD CONSTRAINT stock_movements_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders (id);
