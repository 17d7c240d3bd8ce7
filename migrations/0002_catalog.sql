-- The catalogue: what shops sell (gifts, stable), for how much (offers, volatile), and how it came in (sources, runs).

CREATE TABLE sources (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site_key       text NOT NULL UNIQUE,
    name           text NOT NULL,
    kind           text NOT NULL,       -- the feed's format, 'promotions' or 'ideas'
    url            text,
    etag           text,                -- of the last complete import by URL, to ask only for what is newer
    last_modified  text,
    created_at     timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE categories (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name        text NOT NULL,
    name_key    text NOT NULL UNIQUE,   -- the name lower-cased, spaces collapsed
    parent_id   bigint REFERENCES categories ON DELETE SET NULL,
    created_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX categories_parent ON categories (parent_id) WHERE parent_id IS NOT NULL;

-- The `russian` configuration stems Latin words as English, so one pass serves both languages; what is written in both
-- (the starter ideas) carries its English half in attributes.
-- content_hash is generated so that it always fits the stored row, also when a feed left a field out and the old value stayed.
CREATE TABLE gifts (
    id            text PRIMARY KEY,
    source_id     bigint NOT NULL REFERENCES sources ON DELETE CASCADE,
    external_id   text NOT NULL,
    url           text NOT NULL,
    title         text NOT NULL,
    description   text NOT NULL DEFAULT '',
    image_url     text,
    merchant      text,
    brand         text,
    category_id   bigint REFERENCES categories ON DELETE SET NULL,
    lang          text NOT NULL DEFAULT 'ru',
    attributes    jsonb NOT NULL DEFAULT '{}',
    is_idea       boolean NOT NULL DEFAULT false,
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now(),
    content_hash  bytea NOT NULL GENERATED ALWAYS AS (decode(md5(
        title || E'\x1f' || description || E'\x1f' || coalesce(merchant, '') || E'\x1f' || coalesce(brand, '') || E'\x1f'
        || coalesce(category_id::text, '') || E'\x1f' || lang || E'\x1f' || attributes::text), 'hex')) STORED,
    search        tsvector NOT NULL GENERATED ALWAYS AS (
        setweight(to_tsvector('russian', title || ' ' || coalesce(attributes #>> '{en,title}', '')), 'A')
        || setweight(to_tsvector('russian', coalesce(brand, '') || ' ' || coalesce(merchant, '')), 'B')
        || setweight(to_tsvector('russian', left(description, 1000)), 'C')) STORED,
    UNIQUE (source_id, external_id),
    UNIQUE (source_id, url)
);
CREATE INDEX gifts_category ON gifts (category_id);
CREATE INDEX gifts_search ON gifts USING gin (search);

-- Written only when price or availability change. item_hash is the fingerprint of the item as the feed last gave it:
-- an item with the same fingerprint is known to be unchanged without being read again.
CREATE TABLE offers (
    gift_id     text PRIMARY KEY REFERENCES gifts ON DELETE CASCADE,
    price       numeric(14, 2) CHECK (price > 0),
    currency    char(3) NOT NULL DEFAULT 'RUB',
    old_price   numeric(14, 2),
    available   boolean NOT NULL DEFAULT true,
    active      boolean NOT NULL DEFAULT true,   -- false: gone from its source
    item_hash   bytea,
    updated_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX offers_price ON offers (price, gift_id) WHERE active;

CREATE TABLE price_history (
    gift_id      text NOT NULL REFERENCES gifts ON DELETE CASCADE,
    price        numeric(14, 2) NOT NULL,
    currency     char(3) NOT NULL,
    observed_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (gift_id, observed_at)
);

CREATE TABLE import_runs (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source_id    bigint NOT NULL REFERENCES sources ON DELETE CASCADE,
    started_at   timestamptz NOT NULL DEFAULT now(),
    finished_at  timestamptz,
    status       text NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'complete', 'partial', 'failed')),
    received     integer NOT NULL DEFAULT 0,
    created      integer NOT NULL DEFAULT 0,
    changed      integer NOT NULL DEFAULT 0,
    unchanged    integer NOT NULL DEFAULT 0,
    rejected     integer NOT NULL DEFAULT 0,
    retired      integer NOT NULL DEFAULT 0,
    error        text
);
CREATE INDEX import_runs_source ON import_runs (source_id, started_at DESC);

CREATE TABLE import_rejects (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id       bigint NOT NULL REFERENCES import_runs ON DELETE CASCADE,
    line         integer,
    external_id  text,
    field        text NOT NULL,
    reason       text NOT NULL,
    excerpt      text
);
CREATE INDEX import_rejects_run ON import_rejects (run_id, id);

CREATE TABLE promotions (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source_id        bigint NOT NULL REFERENCES sources ON DELETE CASCADE,
    external_id      text NOT NULL,
    title            text NOT NULL,
    kind             text NOT NULL,
    marketplace      text,
    store            text,
    shop_key         text GENERATED ALWAYS AS (lower(btrim(coalesce(nullif(btrim(store), ''), marketplace)))) STORED,
    discount_kind    text,
    discount_value   numeric(14, 2) NOT NULL DEFAULT 0 CHECK (discount_value >= 0),
    starts_at        timestamptz,
    ends_at          timestamptz,
    coupon           text,
    UNIQUE (source_id, external_id)
);
CREATE INDEX promotions_shop ON promotions (shop_key, ends_at);
