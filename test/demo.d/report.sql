-- What was found, in three tables.
\echo
\echo 'Recall@10 and time a query (in the server, cached plan), over the held-out packages:'
SELECT method AS "search",
       recall(method, CASE WHEN method LIKE 'code:%' THEN 'code: exact (sequential scan)'
                           ELSE 'embedding: exact (sequential scan)' END) AS "recall@10",
       round(percentile_cont(0.5) WITHIN GROUP (ORDER BY ms)::numeric, 3) AS "median ms",
       round(avg(ms)::numeric, 3) AS "mean ms",
       count(*) AS queries
FROM timing
GROUP BY method
ORDER BY method;

\echo 'Sizes:'
SELECT c.relname AS relation,
       pg_size_pretty(pg_table_size(c.oid)) AS size,
       round(pg_table_size(c.oid)::numeric / (SELECT count(*) FROM package)) AS "bytes a row"
FROM pg_class c
WHERE c.relname IN ('package', 'package_embedding_idx', 'package_code_idx')
ORDER BY c.relname;

\echo 'Times:'
SELECT what, seconds FROM build;
