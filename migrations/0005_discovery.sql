-- Recommendations: what titles point to, ordered for picking the best few, and the record of quiz runs.

-- One row for each thing a gift's own title points to (an interest, a franchise, a theme), so that the most giftable few of
-- it are read from the index instead of sorting all of them. Written together with gift_profiles.
CREATE TABLE gift_motifs (
    motif        text NOT NULL,
    giftability  real NOT NULL,
    gift_id      text NOT NULL REFERENCES gifts ON DELETE CASCADE,
    PRIMARY KEY (motif, giftability, gift_id)
);
CREATE INDEX gift_motifs_gift ON gift_motifs (gift_id);
CREATE INDEX gift_profiles_giftability ON gift_profiles (giftability DESC);

-- What was asked of the quiz and which gifts were answered, by their ids alone; kept for 90 days.
CREATE TABLE quiz_runs (
    id              text PRIMARY KEY,
    engine_version  text NOT NULL,
    request         jsonb NOT NULL,
    understood      jsonb NOT NULL,
    relaxed         text[] NOT NULL DEFAULT '{}',
    gift_ids        text[] NOT NULL DEFAULT '{}',
    created_at      timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX quiz_runs_created ON quiz_runs (created_at);
