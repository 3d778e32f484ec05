-- What the auth guard counts (contract 4), for all instances. All times are this database's own.

-- Attempts to log in, to register and to change a password, as long as they matter.
CREATE TABLE auth_attempts (
    id BIGINT GENERATED ALWAYS AS IDENTITY CONSTRAINT auth_attempts_pkey PRIMARY KEY,
    kind TEXT NOT NULL,
    -- One IPv4 address, or an IPv6 network of 64 bits.
    network CIDR NOT NULL,
    -- SHA-256 of the e-mail in lower case, as sent: there need be no such account.
    account_hash BYTEA NOT NULL,
    -- UNDER_WAY, then FAILED or, for a registration that succeeded, REGISTERED; every other end removes the row.
    state TEXT NOT NULL DEFAULT 'UNDER_WAY',
    -- Since when it is in that state.
    since TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp(),
    CONSTRAINT auth_attempts_kind_known CHECK (kind IN ('LOGIN', 'REGISTRATION', 'PASSWORD_CHANGE')),
    CONSTRAINT auth_attempts_state_known CHECK (state IN ('UNDER_WAY', 'FAILED', 'REGISTERED')),
    CONSTRAINT auth_attempts_hash_length CHECK (octet_length(account_hash) = 32)
);

CREATE INDEX auth_attempts_by_network ON auth_attempts (network, since);
CREATE INDEX auth_attempts_by_account ON auth_attempts (account_hash, since);
-- What is too old to matter is removed.
CREATE INDEX auth_attempts_by_age ON auth_attempts (since);

-- Where each account has logged in from: strangers never lock it out there.
CREATE TABLE auth_known_addresses (
    account_hash BYTEA NOT NULL,
    network CIDR NOT NULL,
    last_login_at TIMESTAMPTZ NOT NULL,
    CONSTRAINT auth_known_addresses_pkey PRIMARY KEY (account_hash, network),
    CONSTRAINT auth_known_addresses_hash_length CHECK (octet_length(account_hash) = 32)
);

CREATE INDEX auth_known_addresses_by_age ON auth_known_addresses (last_login_at);
