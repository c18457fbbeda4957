-- qvec_estimate_memory: the formulas of OpenSearch's manual.

SELECT qvec_estimate_memory('hnsw', 'byte', 1000000, 256, 16, NULL) AS "422400000", qvec_estimate_memory('hnsw', 'binary', 1000000, 256, 16, NULL) AS "176000000",
    qvec_estimate_memory('ivf', 'byte', 1000000, 256, NULL, 128) AS "281744179", qvec_estimate_memory('ivf', 'binary', 1000000, 256, NULL, 128) AS "35204506";
-- what does not apply is NULL, or is not looked at; what applies has to be there
SELECT qvec_estimate_memory('hnsw', 'byte', 1000000, 256, 16, 128) = 422400000 AS nlist_ignored, qvec_estimate_memory('ivf', 'byte', 1000000, 256, 16, 128) = 281744179 AS m_ignored,
    qvec_estimate_memory('hnsw', 'byte', 1000000, 256) = 422400000 AS m_by_default, qvec_estimate_memory('ivf', 'byte', rows => 1000000, dims => 256, nlist => 128) = 281744179 AS named,
    qvec_estimate_memory('hnsw', 'byte', 1, 1, NULL) AS no_m, qvec_estimate_memory('ivf', 'byte', 1, 1) AS no_nlist, qvec_estimate_memory(NULL, 'byte', 1, 1) AS no_method, qvec_estimate_memory('ivf', NULL, 1, 1, 1, 1) AS no_type, qvec_estimate_memory('hnsw', 'byte', NULL, 1) AS no_rows, qvec_estimate_memory('hnsw', 'byte', 1, NULL) AS no_dims;
SELECT bool_and(qvec_estimate_memory('hnsw', 'byte', n, d, m) = round(1.1 * (d + 8 * m)::numeric * n) AND qvec_estimate_memory('hnsw', 'binary', n, d, m) = round(1.1 * (d / 8.0 + 8 * m) * n)
    AND qvec_estimate_memory('ivf', 'byte', n, d, NULL, l) = round(1.1 * (d::numeric * n + 4.0 * l * d)) AND qvec_estimate_memory('ivf', 'binary', n, d, NULL, l) = round(1.1 * (d::numeric * n / 8 + l::numeric * d / 8.0))) AS formulas
FROM unnest('{0,1,7,1000,12345678,4000000000}'::bigint[]) AS n, unnest('{1,7,8,1000,16000}'::int[]) AS d, unnest('{1,5,100}'::int[]) AS m, unnest('{1,13,65536}'::int[]) AS l;
SELECT qvec_estimate_memory('HNSW', 'byte', 1, 1);
SELECT qvec_estimate_memory('hnsw', 'float', 1, 1);
SELECT qvec_estimate_memory('hnsw', 'byte', -1, 1);
SELECT qvec_estimate_memory('hnsw', 'byte', 9223372036854775807, 1);
SELECT qvec_estimate_memory('hnsw', 'byte', 1, 0);
SELECT qvec_estimate_memory('hnsw', 'byte', 1, 64001);
SELECT qvec_estimate_memory('hnsw', 'byte', 1, 1, 0);
SELECT qvec_estimate_memory('ivf', 'byte', 1, 1, 16, -1);
SELECT qvec_estimate_memory('hnsw', 'byte', 1000000000000, 64000, 2147483647);
