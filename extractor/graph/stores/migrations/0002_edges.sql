-- What statements agree on, as the view of that name in the DuckDB file.
CREATE VIEW product_graph.edges AS
    SELECT subject, predicate, object, max(confidence) AS confidence, count(*) AS statements
    FROM product_graph.statements WHERE rank <> 'deprecated' GROUP BY subject, predicate, object;
