#!/bin/sh
# test/bench/run.sh
#       A benchmark on a throw-away server with this checkout's qvec, and pgvector
#       where the machine's PostgreSQL has it.
#
# usage: sh test/bench/run.sh [NAME] [--shared-buffers SIZE] [--huge-pages] [arguments of NAME.py]
#
# NAME is a script of this directory, search if left out.  With --huge-pages the
# server does not start unless the kernel has set as many aside (vm.nr_hugepages).

top=$(cd "$(dirname "$0")/../.." && pwd) || exit 1
. "$top/test/setup/machine.sh"
. "$top/test/setup/server.sh"

name=search
case ${1:-} in
'' | -* | */* | synthetic | *.fbin) ;;
*)
    name=$1
    shift
    ;;
esac
[ -f "$top/test/bench/$name.py" ] || die "no benchmark is called $name"
buffers=4GB
if [ "${1:-}" = --shared-buffers ]; then
    buffers=${2:?a size}
    shift 2
fi
huge_pages=off
if [ "${1:-}" = --huge-pages ]; then
    huge_pages=on
    shift
fi
# Debian's own python, whose modules apt installs.
python=/usr/bin/python3
[ -x $python ] || python=python3

need compiler make postgres bench
# A model in Python, where it can be had.
if [ "$name" = lowstorage ] && is_root; then need plpython; fi
begin_scratch qvec-bench
copy_checkout "$top" "$SCRATCH/source"
copy_postgres "$(find_postgres)" "$SCRATCH/postgres"
as_user make -s -C "$SCRATCH/source" -j"$CPUS" PG_CONFIG="$PG/pg_config" install >"$SCRATCH/build.log" 2>&1 ||
    { tail -n 40 "$SCRATCH/build.log"; die "the build failed"; }
start_server "$SCRATCH/data" "shared_buffers = $buffers" "huge_pages = $huge_pages" "max_wal_size = 16GB" "autovacuum = off" \
    "effective_cache_size = 8GB" "random_page_cost = 1.1" || die "the server did not start"

# As the caller: the set may lie where the server's user cannot read.
PGDATABASE=postgres $python "$top/test/bench/$name.py" "$@"
