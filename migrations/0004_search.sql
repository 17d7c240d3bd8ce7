-- Search: what gifts are like (profiles, vectors), what they are called (words), and one narrow row per gift to filter by.

CREATE TABLE gift_profiles (
    gift_id       text PRIMARY KEY REFERENCES gifts ON DELETE CASCADE,
    model         text NOT NULL,
    version       integer NOT NULL,
    content_hash  bytea NOT NULL,
    kind          text,
    role          text NOT NULL,
    giftability   real NOT NULL CHECK (giftability BETWEEN 0 AND 1),
    quality       real NOT NULL CHECK (quality BETWEEN 0 AND 1),
    gender        text NOT NULL DEFAULT 'any' CHECK (gender IN ('any', 'female', 'male')),
    age_min       smallint NOT NULL DEFAULT 0 CHECK (age_min >= 0),
    age_max       smallint NOT NULL DEFAULT 120 CHECK (age_max >= age_min),
    closeness     smallint NOT NULL DEFAULT 0 CHECK (closeness BETWEEN 0 AND 3),
    interests     text[] NOT NULL DEFAULT '{}',
    motifs        text[] NOT NULL DEFAULT '{}',
    breaks        text[] NOT NULL DEFAULT '{}',
    axes          real[] NOT NULL,
    scored_at     timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX gift_profiles_kind ON gift_profiles (kind, giftability DESC);
CREATE INDEX gift_profiles_interests ON gift_profiles USING gin (interests);
CREATE INDEX gift_profiles_version ON gift_profiles (model, version);

-- A space is one model in one version: only vectors of one space can be compared. One space serves; others fill up beside it.
-- segment numbers the HNSW index that covers the space; null until the catalogue is large enough to need one. categories are
-- those that have an HNSW of their own besides: under a category's filter a graph of everything is mostly walked in vain.
CREATE TABLE embedding_spaces (
    id          smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model       text NOT NULL,
    version     integer NOT NULL,
    dimensions  smallint NOT NULL CHECK (dimensions BETWEEN 1 AND 4000),
    serving     boolean NOT NULL DEFAULT false,
    segment     integer,
    categories  bigint[] NOT NULL DEFAULT '{}',
    created_at  timestamptz NOT NULL DEFAULT now(),
    retired_at  timestamptz,
    UNIQUE (model, version)
);
CREATE UNIQUE INDEX embedding_spaces_serving ON embedding_spaces (serving) WHERE serving;

-- Everything search filters and sorts by, with the vector beside it: comparing a few thousand rows exactly costs under a
-- microsecond each here, five to seven when the vector must be fetched by a join. Kept in step by the triggers below.
-- price is in hundredths. pending: the text, as it is now, has no vector yet.
CREATE TABLE gift_search (
    gift_id       text NOT NULL REFERENCES gifts ON DELETE CASCADE,
    space         smallint NOT NULL REFERENCES embedding_spaces ON DELETE CASCADE,
    active        boolean NOT NULL,
    pending       boolean NOT NULL DEFAULT true,
    is_idea       boolean NOT NULL,
    age_min       smallint NOT NULL,
    age_max       smallint NOT NULL,
    rank          real NOT NULL,
    price         bigint,
    category_id   bigint,
    created_at    timestamptz NOT NULL,
    currency      text NOT NULL,
    content_hash  bytea NOT NULL,
    embedding     halfvec,
    PRIMARY KEY (gift_id, space)
);
CREATE INDEX gift_search_category ON gift_search (space, category_id, price, gift_id) WHERE active;
CREATE INDEX gift_search_price ON gift_search (space, price, gift_id) WHERE active;
CREATE INDEX gift_search_category_rank ON gift_search (space, category_id, rank DESC, gift_id) WHERE active;
CREATE INDEX gift_search_rank ON gift_search (space, rank DESC, gift_id) WHERE active;
CREATE INDEX gift_search_new ON gift_search (space, created_at DESC, gift_id) WHERE active;
CREATE INDEX gift_search_pending ON gift_search (space, gift_id) WHERE pending;
ALTER TABLE gift_search SET (autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.02);

-- Vectors that the HNSW index does not have yet; searches compare them one by one.
CREATE TABLE gift_fresh (
    space    smallint NOT NULL REFERENCES embedding_spaces ON DELETE CASCADE,
    gift_id  text NOT NULL REFERENCES gifts ON DELETE CASCADE,
    PRIMARY KEY (gift_id, space)
);
CREATE INDEX gift_fresh_space ON gift_fresh (space);

-- The vectors under HNSW, alone, because a row written here costs milliseconds. Each segment has partial indexes of its own,
-- gift_embeddings_hnsw_<segment> and gift_embeddings_hnsw_<segment>_<category>, made by the embedding service for the
-- dimensions of its space.
CREATE TABLE gift_embeddings (
    gift_id       text NOT NULL REFERENCES gifts ON DELETE CASCADE,
    segment       integer NOT NULL,
    category_id   bigint,
    content_hash  bytea NOT NULL,
    embedding     halfvec NOT NULL,
    embedded_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (gift_id, segment)
);
CREATE SEQUENCE gift_embedding_segments AS integer;

-- The gifts nearest to a vector under conditions, those that are null not counting: by every row's distance when scan is null,
-- else by HNSW (of one category, when given) over at most so many rows of its own, and every row that it does not have yet.
-- A walk finds nearly everything near, but loses its way when nothing is: then all rows are compared after all where they
-- are few, and else a wider walk is taken.
-- The statements are made for each call: partial indexes need their constants, and the plan the values. OFFSET 0 keeps the
-- conditions behind the walk, and the inner LIMIT tells the planner how short it is; else it sorts the table by distance.
CREATE FUNCTION gift_nearest(
    near halfvec, in_space smallint, depth integer, categories bigint[], low bigint, high bigint, age smallint, money text,
    segment integer, own_category bigint, scan integer, few boolean
) RETURNS TABLE (gift_id text, rank real, distance double precision) LANGUAGE plpgsql STABLE ROWS 64 AS $$
DECLARE
    far CONSTANT double precision := 0.5;
    usual CONSTANT text := current_setting('hnsw.ef_search');
    met CONSTANT text := format('s.space = %s AND s.active', in_space)
        || CASE WHEN categories IS NULL THEN '' WHEN cardinality(categories) = 1 THEN ' AND s.category_id = ($2)[1]'
                ELSE ' AND s.category_id = ANY ($2)' END
        || CASE WHEN low IS NULL THEN '' ELSE ' AND s.price >= $3' END
        || CASE WHEN high IS NULL THEN '' ELSE ' AND s.price <= $4' END
        || CASE WHEN age IS NULL THEN '' ELSE ' AND s.age_min <= $5 AND s.age_max >= $5' END
        || CASE WHEN money IS NULL THEN '' ELSE ' AND s.currency = $6' END;
    compare CONSTANT text := format($statement$
        SELECT s.gift_id, (s.rank - s.is_idea::integer)::real, s.embedding <=> $1 AS distance
        FROM gift_search s WHERE %s AND s.embedding IS NOT NULL
        ORDER BY distance, s.gift_id LIMIT %s
        $statement$, met, depth);
    walk text := format($statement$
        SELECT e.gift_id, s.rank, e.distance
        FROM (SELECT gift_id, content_hash, embedding::halfvec(%1$s) <=> $1 AS distance
              FROM gift_embeddings WHERE segment = %2$s %3$s ORDER BY embedding::halfvec(%1$s) <=> $1 LIMIT %4$s) e
        CROSS JOIN LATERAL (
            SELECT (s.rank - s.is_idea::integer)::real AS rank FROM gift_search s
            WHERE s.gift_id = e.gift_id AND (s.content_hash = e.content_hash OR s.pending) AND %5$s OFFSET 0) s
        LIMIT %6$s
        $statement$, vector_dims(near), segment, coalesce('AND category_id = ' || own_category, ''), scan, met, depth);
    ids text[];
    ranks real[];
    distances double precision[];
BEGIN
    IF scan IS NOT NULL THEN
        -- Planning costs as much as walking, so what is fresh is left out while nothing is.
        IF EXISTS (SELECT FROM gift_fresh f WHERE f.space = in_space) THEN
            walk := format($statement$
                SELECT gift_id, max(rank) AS rank, min(distance) AS distance FROM (
                    (%1$s)
                    UNION ALL
                    (SELECT s.gift_id, (s.rank - s.is_idea::integer)::real, s.embedding <=> $1 AS distance
                     FROM gift_fresh f JOIN gift_search s ON s.gift_id = f.gift_id AND s.space = f.space
                     WHERE f.space = %2$s AND %3$s AND s.embedding IS NOT NULL
                     ORDER BY distance LIMIT %4$s)
                ) found GROUP BY gift_id ORDER BY distance, gift_id LIMIT %4$s
                $statement$, walk, in_space, met, depth);
        END IF;
        walk := 'SELECT array_agg(w.gift_id), array_agg(w.rank), array_agg(w.distance) FROM (' || walk || ') w';
        EXECUTE walk INTO ids, ranks, distances USING near, categories, low, high, age, money;
        IF NOT few AND coalesce(distances[1], 1) > far THEN
            PERFORM set_config('hnsw.ef_search', '600', true);
            EXECUTE walk INTO ids, ranks, distances USING near, categories, low, high, age, money;
            PERFORM set_config('hnsw.ef_search', usual, true);
        END IF;
    END IF;
    IF scan IS NULL OR (few AND coalesce(distances[1], 1) > far) THEN
        RETURN QUERY EXECUTE compare USING near, categories, low, high, age, money;
    ELSE
        RETURN QUERY SELECT * FROM unnest(ids, ranks, distances);
    END IF;
END $$;

-- Moves on whenever gift_search changes; readers keep counts for as long as it stands still.
CREATE SEQUENCE gift_search_revision;

-- The words of the titles, for mending a query's typing errors.
CREATE FUNCTION word_grams(word text) RETURNS text[] LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN ARRAY(SELECT DISTINCT substr(' ' || word || ' ', n, 3) FROM generate_series(1, length(word)) AS n);

CREATE TABLE search_words (
    word       text PRIMARY KEY,
    lexeme     text NOT NULL,
    documents  integer NOT NULL,
    grams      text[] NOT NULL GENERATED ALWAYS AS (word_grams(word)) STORED
);
CREATE INDEX search_words_lexeme ON search_words (lexeme);
CREATE INDEX search_words_grams ON search_words USING gin (grams);

-- How many gifts have a stem in any of their texts.
CREATE TABLE search_lexemes (
    lexeme     text PRIMARY KEY,
    documents  integer NOT NULL
);

-- A gift as gift_search should hold it. Ideas stand behind real products.
CREATE VIEW gift_search_rows AS
SELECT g.id AS gift_id,
       o.active AND o.available AS active,
       g.is_idea,
       coalesce(p.age_min, 0)::smallint AS age_min,
       coalesce(p.age_max, 120)::smallint AS age_max,
       (coalesce(0.8 * p.giftability + 0.2 * p.quality, 0.4) * CASE WHEN g.is_idea THEN 0.6 ELSE 1 END)::real AS rank,
       (o.price * 100)::bigint AS price,
       g.category_id,
       g.created_at,
       o.currency::text AS currency,
       g.content_hash
FROM gifts g
JOIN offers o ON o.gift_id = g.id
LEFT JOIN gift_profiles p ON p.gift_id = g.id;

CREATE FUNCTION gift_search_on_new_offers() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO gift_search (gift_id, space, active, is_idea, age_min, age_max, rank, price, category_id, created_at, currency, content_hash)
    SELECT r.gift_id, s.id, r.active, r.is_idea, r.age_min, r.age_max, r.rank, r.price, r.category_id, r.created_at, r.currency, r.content_hash
    FROM added a
    CROSS JOIN LATERAL (SELECT * FROM gift_search_rows WHERE gift_id = a.gift_id OFFSET 0) r
    CROSS JOIN embedding_spaces s
    WHERE s.retired_at IS NULL
    ON CONFLICT DO NOTHING;
    PERFORM nextval('gift_search_revision');
    RETURN NULL;
END $$;
CREATE TRIGGER gift_search_new_offers AFTER INSERT ON offers
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION gift_search_on_new_offers();

CREATE FUNCTION gift_search_on_offers() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE gift_search t
    SET active = n.active AND n.available, price = (n.price * 100)::bigint, currency = n.currency
    FROM after n
    WHERE t.gift_id = n.gift_id
      AND (t.active, t.price, t.currency)
          IS DISTINCT FROM (n.active AND n.available, (n.price * 100)::bigint, n.currency::text);
    IF FOUND THEN
        PERFORM nextval('gift_search_revision');
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER gift_search_offers AFTER UPDATE ON offers
    REFERENCING NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION gift_search_on_offers();

CREATE FUNCTION gift_search_on_gifts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE gift_search t
    SET category_id = n.category_id, content_hash = n.content_hash, pending = t.pending OR t.content_hash <> n.content_hash
    FROM after n
    WHERE t.gift_id = n.id AND (t.category_id, t.content_hash) IS DISTINCT FROM (n.category_id, n.content_hash);
    IF FOUND THEN
        PERFORM nextval('gift_search_revision');
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER gift_search_gifts AFTER UPDATE ON gifts
    REFERENCING NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION gift_search_on_gifts();

CREATE FUNCTION gift_search_on_profiles() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE gift_search t
    SET age_min = r.age_min, age_max = r.age_max, rank = r.rank
    FROM after n
    JOIN gift_search_rows r ON r.gift_id = n.gift_id
    WHERE t.gift_id = n.gift_id AND (t.age_min, t.age_max, t.rank) IS DISTINCT FROM (r.age_min, r.age_max, r.rank);
    IF FOUND THEN
        PERFORM nextval('gift_search_revision');
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER gift_search_new_profiles AFTER INSERT ON gift_profiles
    REFERENCING NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION gift_search_on_profiles();
CREATE TRIGGER gift_search_profiles AFTER UPDATE ON gift_profiles
    REFERENCING NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION gift_search_on_profiles();

-- A gift that goes takes its rows along by the foreign keys; only the revision must be moved.
CREATE FUNCTION gift_search_on_gone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM nextval('gift_search_revision');
    RETURN NULL;
END $$;
CREATE TRIGGER gift_search_gone AFTER DELETE ON gifts
    FOR EACH STATEMENT EXECUTE FUNCTION gift_search_on_gone();
