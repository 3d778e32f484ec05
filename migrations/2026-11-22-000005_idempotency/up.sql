-- Requests with an Idempotency-Key: who may run, what came of it, and the answer that a replay gives again.

-- Numbers of claims: none comes twice, also when a key was given back and is claimed anew, so that nobody who is only
-- slow can take a later claim for theirs.
CREATE SEQUENCE idempotency_claims;

CREATE TABLE idempotency_keys (
    user_id      UUID     NOT NULL CONSTRAINT idempotency_keys_user_fkey REFERENCES users (id) ON DELETE CASCADE,
    key          TEXT     COLLATE "C" NOT NULL,
    -- SHA-256 of method, path and body.
    fingerprint  BYTEA    NOT NULL,
    -- Which claim is the last one: the transaction of the effect checks it.
    claim        BIGINT   NOT NULL,
    -- The claim's last sign of life.
    alive_at     TIMESTAMPTZ NOT NULL,
    created_at   TIMESTAMPTZ NOT NULL,
    -- The effect: set in the transaction that has it.
    order_id     UUID     CONSTRAINT idempotency_keys_order_fkey REFERENCES orders (id),
    status       SMALLINT,
    content_type TEXT,
    location     TEXT,
    body         BYTEA,
    CONSTRAINT idempotency_keys_pkey PRIMARY KEY (user_id, key),
    CONSTRAINT idempotency_keys_key_length CHECK (octet_length(key) BETWEEN 1 AND 255),
    CONSTRAINT idempotency_keys_fingerprint_length CHECK (octet_length(fingerprint) = 32),
    CONSTRAINT idempotency_keys_claim_positive CHECK (claim > 0),
    CONSTRAINT idempotency_keys_status_known CHECK (status BETWEEN 200 AND 499),
    CONSTRAINT idempotency_keys_answer_whole CHECK (
        (status IS NULL) = (body IS NULL) AND (status IS NULL) = (content_type IS NULL))
);

-- For forgetting what is a day old.
CREATE INDEX idempotency_keys_oldest ON idempotency_keys (created_at);
