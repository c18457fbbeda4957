#!/bin/sh
# test/readme.sh
#       Runs every block of SQL in README.md, in order, in a new database: what the
#       first page shows must work as it stands there.  Prints TAP.
#
# usage: sh test/readme.sh PSQL     from the top of the checkout, PG* says which server

psql=$1
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
awk -v dir="$dir" '
    /^```sql$/ { block++; inside = 1; print "-- README.md, line " NR + 1 >(dir "/" sprintf("%02d", block) ".sql"); next }
    /^```$/ { inside = 0 }
    inside { print >(dir "/" sprintf("%02d", block) ".sql") }' README.md

"$psql" -X -q -d postgres -c 'DROP DATABASE IF EXISTS readme' -c 'CREATE DATABASE readme' || exit 1
count=0
failures=0
for block in "$dir"/*.sql; do
    count=$((count + 1))
    where=$(sed -n '1s/^-- //p' "$block")
    if "$psql" -X -q -v ON_ERROR_STOP=1 -d readme -f "$block" >"$dir/out" 2>&1; then
        echo "ok $count - $where"
    else
        echo "not ok $count - $where"
        failures=$((failures + 1))
    fi
    sed 's/^/# /' "$dir/out"
done
echo "1..$count"
[ "$failures" -eq 0 ]
