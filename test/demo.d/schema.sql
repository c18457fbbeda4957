-- The demo's tables.  The embedding is PostgreSQL's own real[]; the code column
-- holds one bit a dimension, made from it by the server.
CREATE EXTENSION qvec;

CREATE TABLE package (
    id integer,
    name text,
    summary text,
    embedding real[],
    code bitvec(256) GENERATED ALWAYS AS (binary_quantize(embedding)) STORED
);

CREATE TABLE held_out (LIKE package INCLUDING GENERATED);
CREATE TABLE question (id serial, body text, embedding real[]);

CREATE TABLE build (what text, seconds numeric);
CREATE TABLE answer (method text, query integer, id integer, distance double precision);
CREATE TABLE timing (method text, query integer, ms double precision);
