-- Functions that answer every held-out query and note each answer and its time.
-- Static SQL, so that the plan is cached as an application's prepared statement is.
CREATE FUNCTION measure_embedding(label text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    q record;
    started timestamptz;
    ids integer[];
    distances double precision[];
BEGIN
    FOR q IN SELECT h.id, h.embedding FROM held_out h LOOP
        started := clock_timestamp();
        SELECT array_agg(s.id), array_agg(s.distance) INTO ids, distances
        FROM (SELECT p.id, p.embedding <=> q.embedding AS distance
              FROM package p ORDER BY p.embedding <=> q.embedding LIMIT 10) s;
        INSERT INTO timing VALUES (label, q.id, 1000 * extract(epoch FROM clock_timestamp() - started));
        INSERT INTO answer SELECT label, q.id, unnest(ids), unnest(distances);
    END LOOP;
END $$;

CREATE FUNCTION measure_code(label text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    q record;
    started timestamptz;
    ids integer[];
    distances double precision[];
BEGIN
    FOR q IN SELECT h.id, h.code FROM held_out h LOOP
        started := clock_timestamp();
        SELECT array_agg(s.id), array_agg(s.distance) INTO ids, distances
        FROM (SELECT p.id, p.code <~> q.code AS distance
              FROM package p ORDER BY p.code <~> q.code LIMIT 10) s;
        INSERT INTO timing VALUES (label, q.id, 1000 * extract(epoch FROM clock_timestamp() - started));
        INSERT INTO answer SELECT label, q.id, unnest(ids), unnest(distances);
    END LOOP;
END $$;

-- The code column chooses 100 rows, the embedding orders them.
CREATE FUNCTION measure_both(label text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    q record;
    started timestamptz;
    ids integer[];
    distances double precision[];
BEGIN
    FOR q IN SELECT h.id, h.code, h.embedding FROM held_out h LOOP
        started := clock_timestamp();
        SELECT array_agg(s.id), array_agg(s.distance) INTO ids, distances
        FROM (SELECT c.id, c.embedding <=> q.embedding AS distance
              FROM (SELECT p.id, p.embedding FROM package p ORDER BY p.code <~> q.code LIMIT 100) c
              ORDER BY c.embedding <=> q.embedding LIMIT 10) s;
        INSERT INTO timing VALUES (label, q.id, 1000 * extract(epoch FROM clock_timestamp() - started));
        INSERT INTO answer SELECT label, q.id, unnest(ids), unnest(distances);
    END LOOP;
END $$;

-- Share of the true ten among the ten returned.  An answer counts when it is no
-- farther than the true tenth: with Hamming distances many rows tie.
CREATE FUNCTION recall(label text, exact text) RETURNS numeric LANGUAGE sql AS $$
    WITH tenth AS (SELECT query, max(distance) AS d FROM answer WHERE method = exact GROUP BY query),
         hits AS (SELECT t.query, count(a.id) FILTER (WHERE a.distance <= t.d + 1e-9) AS n
                  FROM tenth t LEFT JOIN answer a ON a.query = t.query AND a.method = label
                  GROUP BY t.query)
    SELECT round(avg(least(n, 10)) / 10, 3) FROM hits
$$;
