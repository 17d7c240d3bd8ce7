CREATE EXTENSION IF NOT EXISTS vector;

-- Messages that no actor could take or survive, kept until somebody replays them.
CREATE TABLE dead_letters (
    id                  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    path                text        NOT NULL,
    message             text        NOT NULL,
    payload             jsonb,                    -- null: the message has no JSON form and cannot be replayed
    reason              text        NOT NULL,
    cause               text,
    traceback           text,
    died_at             timestamptz NOT NULL,
    replay_requested_at timestamptz,
    replayed_at         timestamptz
);
CREATE INDEX dead_letters_requested ON dead_letters (id) WHERE replay_requested_at IS NOT NULL AND replayed_at IS NULL;
