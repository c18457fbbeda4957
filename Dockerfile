# PostgreSQL's official image with qvec in it.
#
#   docker build --build-arg PG_MAJOR=17 -t qvec .
#   docker run --rm -e POSTGRES_PASSWORD=secret -p 5432:5432 qvec

ARG PG_MAJOR=17
FROM postgres:${PG_MAJOR}-bookworm AS build
ARG PG_MAJOR
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev make postgresql-server-dev-${PG_MAJOR} \
    && rm -rf /var/lib/apt/lists/*
COPY . /src
RUN make -C /src -j"$(nproc)" && make -C /src install DESTDIR=/out

FROM postgres:${PG_MAJOR}-bookworm
COPY --from=build /out/ /
COPY test/setup/create_extension.sql /docker-entrypoint-initdb.d/10-qvec.sql
