CREATE EXTENSION IF NOT EXISTS vector;

-- Messages that no actor could take or survive, kept until staff replays or discards them.
CREATE TABLE dead_letters (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    actor       text        NOT NULL,
    message     text        NOT NULL,
    payload     jsonb,
    reason      text        NOT NULL,
    error       text,
    traceback   text,
    died_at     timestamptz NOT NULL,
    replayed_at timestamptz
);
CREATE INDEX dead_letters_waiting ON dead_letters (id) WHERE replayed_at IS NULL;
