#!/bin/sh
# test/layout.sh
#       Checks the shape of the source: the include law of src/README.md, headers
#       that compile alone, and version numbers in one place.  Prints TAP.
#
# usage: sh test/layout.sh [pg_config]     from the top of the checkout
#
# The floors are read from the table in src/README.md, so that the map and the
# law cannot drift apart.

config=${1:-pg_config}
pg_include=$("$config" --includedir-server) || exit 1
count=0
failures=0

# ok STATUS NAME [DETAIL]
ok()
{
    count=$((count + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $count - $2"
    else
        echo "not ok $count - $2"
        printf '%s\n' "$3" | sed 's/^/#   /'
        failures=$((failures + 1))
    fi
}

# none NAME FINDINGS: findings are lines, and none is a pass.
none()
{
    test -z "$2"
    ok $? "$1" "$2"
}

# The floor of every room, "floor room" a line.
floors=$(sed -n 's/^| *\([0-9]\) *| *`\([a-z]*\)\/` *|.*/\1 \2/p' src/README.md)
[ "$(printf '%s\n' "$floors" | wc -l)" -ge 11 ]
ok $? "src/README.md has a floor for every room" "found: $floors"

# src/compat.h is of floor 3, and src/qvec.c, which starts all the rooms, above them.
found=$(awk -v floors="$floors" '
    BEGIN {
        n = split(floors, word, /[ \n]+/)
        for (i = 1; i < n; i += 2)
            floor[word[i + 1]] = word[i]
    }
    FNR == 1 {
        n = split(FILENAME, part, "/")
        own = n > 2 ? part[2] : ""
        own_floor = own != "" ? floor[own] : FILENAME == "src/compat.h" ? 3 : 9
        if (own != "" && !(own in floor))
            print FILENAME ": room " own " is not on the map"
    }
    /^[ \t]*#[ \t]*include/ {
        name = $0
        sub(/^[ \t]*#[ \t]*include[ \t]*["<]/, "", name)
        sub(/[">].*/, "", name)
        room = name
        if (sub(/\/.*/, "", room) && room in floor)
        {
            if (floor[room] > own_floor)
                print FILENAME ":" FNR ": floor " own_floor " includes " name " of floor " floor[room]
        }
        else if (own_floor < 3 && $0 ~ /"/)
            print FILENAME ":" FNR ": " name " is not written from src/, or not of this floor"
    }' $(find src -name '*.[ch]' | sort))
none "includes go to the same floor or downward" "$found"

found=$(find src -type f \( -name '*utils*' -o -name '*misc*' -o -name '*common*' \))
none "no file is named utils, misc or common" "$found"

found=$(grep -rnE 'PG_VERSION_NUM|PG_MAJORVERSION_NUM' src --include='*.[ch]' | grep -v '^src/compat\.h:')
none "PG_VERSION_NUM occurs in src/compat.h only" "$found"

# Floors 0 to 2 without PostgreSQL's include path.  Above, postgres.h comes first
# by PostgreSQL's own rule, so the header is compiled after it.
for header in $(find src -name '*.h' | sort); do
    room=$(echo "$header" | sed -n 's,^src/\([a-z]*\)/.*,\1,p')
    floor=$(printf '%s\n' "$floors" | awk -v r="$room" '$2 == r { print $1 }')
    if [ "${floor:-3}" -le 2 ]; then
        message=$(echo "#include \"${header#src/}\"" |
            cc -x c -std=c11 -D_DEFAULT_SOURCE -Wall -Wextra -Werror -fsyntax-only -Isrc - 2>&1)
    else
        message=$(printf '#include "postgres.h"\n#include "%s"\n' "${header#src/}" |
            cc -x c -std=gnu11 -D_GNU_SOURCE -Wall -Werror -fsyntax-only -Isrc -I"$pg_include" - 2>&1)
    fi
    ok $? "$header compiles alone" "$message"
done

echo "1..$count"
[ "$failures" -eq 0 ]
