-- Users, their logins, and the refresh tokens of each login.

CREATE TABLE users (
    id UUID CONSTRAINT users_pkey PRIMARY KEY,
    -- ASCII in lower case, so that one address registers once, whatever the database's locale.
    email TEXT COLLATE "C" NOT NULL CONSTRAINT users_email_key UNIQUE,
    name TEXT,
    -- A PHC string: the algorithm, its costs and the salt are part of it.
    password_hash TEXT NOT NULL,
    role TEXT NOT NULL,
    blocked BOOLEAN NOT NULL DEFAULT FALSE,
    created_at TIMESTAMPTZ NOT NULL,
    CONSTRAINT users_email_lower_case CHECK (email = lower(email)),
    CONSTRAINT users_email_length CHECK (char_length(email) BETWEEN 3 AND 254),
    CONSTRAINT users_name_length CHECK (char_length(name) BETWEEN 2 AND 50),
    CONSTRAINT users_password_hash_is_phc CHECK (password_hash LIKE '$argon2id$%'),
    CONSTRAINT users_role_known CHECK (role IN ('CUSTOMER', 'ADMIN'))
);

-- The admins' list, newest first.
CREATE INDEX users_by_created_at ON users (created_at, id);

-- The admins that are locked before one of them is demoted or blocked, lest it be the last.
CREATE INDEX users_active_admins ON users (id) WHERE role = 'ADMIN' AND NOT blocked;

-- A login, and the family of refresh tokens that descend from it.
CREATE TABLE sessions (
    id UUID CONSTRAINT sessions_pkey PRIMARY KEY,
    user_id UUID NOT NULL CONSTRAINT sessions_user_id_fkey REFERENCES users (id) ON DELETE CASCADE,
    created_at TIMESTAMPTZ NOT NULL,
    -- Fixed at login: refreshing does not move it.
    expires_at TIMESTAMPTZ NOT NULL,
    ended_at TIMESTAMPTZ,
    CONSTRAINT sessions_expire_after_login CHECK (expires_at > created_at)
);

CREATE INDEX sessions_live_by_user ON sessions (user_id) WHERE ended_at IS NULL;

-- Spent tokens stay as long as their session: one that comes again was stolen, and ends it.
CREATE TABLE refresh_tokens (
    -- SHA-256 of the token, which has 256 random bits itself and so needs no salt.
    token_hash BYTEA CONSTRAINT refresh_tokens_pkey PRIMARY KEY,
    session_id UUID NOT NULL CONSTRAINT refresh_tokens_session_id_fkey REFERENCES sessions (id) ON DELETE CASCADE,
    created_at TIMESTAMPTZ NOT NULL,
    spent_at TIMESTAMPTZ,
    CONSTRAINT refresh_tokens_hash_length CHECK (octet_length(token_hash) = 32)
);

-- A family has at most one token that still works.
CREATE UNIQUE INDEX refresh_tokens_unspent_key ON refresh_tokens (session_id) WHERE spent_at IS NULL;
CREATE INDEX refresh_tokens_by_session ON refresh_tokens (session_id);
