-- Answers kept for callers who repeat a request with the same Idempotency-Key. A row without a status is being worked on
-- by the process that holds its token, until the lease runs out.
CREATE TABLE idempotency_keys (
    scope        text        NOT NULL,
    key          text        NOT NULL,
    fingerprint  bytea       NOT NULL,
    token        uuid        NOT NULL,
    leased_until timestamptz NOT NULL,
    status       smallint,
    headers      jsonb,
    body         bytea,
    expires_at   timestamptz NOT NULL,
    PRIMARY KEY (scope, key)
);
CREATE INDEX idempotency_keys_expiry ON idempotency_keys (expires_at);
