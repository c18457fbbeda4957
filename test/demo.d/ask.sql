-- What users see: every question with its five nearest packages, by an index scan for each.
SELECT q.body AS question,
       row_number() OVER (PARTITION BY q.id ORDER BY p.distance) AS n,
       round(p.distance::numeric, 3) AS distance,
       p.name AS package,
       CASE WHEN length(p.summary) > 64 THEN left(p.summary, 61) || '...' ELSE p.summary END AS summary
FROM question q,
     LATERAL (SELECT name, summary, embedding <=> q.embedding AS distance
              FROM package
              ORDER BY embedding <=> q.embedding
              LIMIT 5) p
ORDER BY q.id, p.distance;
