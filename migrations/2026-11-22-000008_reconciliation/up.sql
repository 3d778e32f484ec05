-- What reconciliation looks for, and whose turn it is.

CREATE INDEX checkout_attempts_unended ON checkout_attempts (created_at) INCLUDE (order_id) WHERE state <> 'ENDED';
CREATE INDEX refunds_under_way ON refunds (intent) WHERE status IN ('pending', 'requires_action');

-- What is done in turn by one instance of all, and when it is due again.
CREATE TABLE turns (
    name   TEXT        NOT NULL CONSTRAINT turns_pkey PRIMARY KEY,
    due_at TIMESTAMPTZ NOT NULL
);
