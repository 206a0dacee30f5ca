-- The graph as it stands in its DuckDB file: same tables, same ids. A schema of its own keeps them apart from others.
CREATE TABLE product_graph.runs (id TEXT PRIMARY KEY, manifest JSONB NOT NULL, merged_at TIMESTAMP NOT NULL);
CREATE TABLE product_graph.listings (
    run TEXT NOT NULL, product TEXT NOT NULL, title TEXT NOT NULL, content_hash TEXT NOT NULL,
    PRIMARY KEY (product, run)
);
CREATE TABLE product_graph.nodes (id TEXT PRIMARY KEY, kind TEXT NOT NULL, label TEXT NOT NULL);
CREATE TABLE product_graph.members (spu TEXT NOT NULL, product TEXT PRIMARY KEY);
CREATE TABLE product_graph.statements (
    id UUID PRIMARY KEY, subject TEXT NOT NULL, predicate TEXT NOT NULL, object TEXT NOT NULL,
    label TEXT NOT NULL, rank TEXT NOT NULL, confidence DOUBLE PRECISION NOT NULL,
    run TEXT NOT NULL, product TEXT NOT NULL, source TEXT NOT NULL,
    span_start INTEGER, span_end INTEGER, quote TEXT NOT NULL,
    prompt TEXT NOT NULL, schema TEXT NOT NULL, model TEXT NOT NULL, reason TEXT NOT NULL
);
CREATE INDEX statements_subject ON product_graph.statements (subject, predicate);
CREATE INDEX statements_object ON product_graph.statements (object, predicate);

-- What was pushed: a batch is all rows of a table whose hash begins with the prefix.
CREATE TABLE product_graph.push_batches (
    of_table TEXT NOT NULL, prefix TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (of_table, prefix)
);
CREATE INDEX runs_batch ON product_graph.runs (left(md5(id::text), 4) COLLATE "C");
CREATE INDEX listings_batch ON product_graph.listings (left(md5(product::text), 4) COLLATE "C");
CREATE INDEX nodes_batch ON product_graph.nodes (left(md5(id::text), 4) COLLATE "C");
CREATE INDEX members_batch ON product_graph.members (left(md5(product::text), 4) COLLATE "C");
CREATE INDEX statements_batch ON product_graph.statements (left(md5(id::text), 4) COLLATE "C");
