#!/bin/sh
# test/layout.sh
#       Checks the shape of the source: the include law of src/README.md, headers
#       that compile alone, version numbers in one place, no circle of files in
#       the rooms named below, and the length of files, functions and READMEs.
#       Prints TAP.
#
# usage: sh test/layout.sh [pg_config]     from the top of the checkout
#
# The floors are read from the table in src/README.md, so that the map and the
# law cannot drift apart.

config=${1:-pg_config}
pg_include=$("$config" --includedir-server) || exit 1
count=0
failures=0
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT

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

# ------------------------------------------------------- no circle of files

# Lines "file symbol kind" of a room's objects, kind U = used, not defined.  They
# are compiled here: only calls matter, so without optimization and warnings.
symbols_of()
{
    for file in "src/$1"/*.c; do
        object=$scratch/$1-$(basename "$file" .c).o
        cc -std=gnu11 -D_GNU_SOURCE -O0 -w -Isrc -I"$pg_include" -c -o "$object" "$file" ||
            echo "$file does_not_compile U"
        nm -P -g "$object" | awk -v file="$(basename "$file")" '{ print file, $1, $2 }'
    done
}

# One circle among the files of a room, if there is one: files that call no other
# file are taken away until none is left, or only circles and what leads to them.
circle_in()
{
    awk '
        { type[$1, $2] = $3; file[NR] = $1; symbol[NR] = $2; used[NR] = $3 == "U" }
        !used[NR] { home[$2] = $1 }
        END {
            for (i = 1; i <= NR; i++)
                if (symbol[i] == "does_not_compile")
                    print file[i] " does not compile"
                else if (used[i] && symbol[i] in home)
                {
                    calls[file[i], home[symbol[i]]] = symbol[i]
                    left[file[i]] = left[home[symbol[i]]] = 1
                }
            do
            {
                again = 0
                for (from in left)
                {
                    next_of[from] = ""
                    for (to in left)
                        if ((from, to) in calls)
                            next_of[from] = to
                    if (next_of[from] == "")
                    {
                        delete left[from]
                        again = 1
                    }
                }
            } while (again)
            for (from in left)
            {
                # who walks on for as many steps as there are files is in a circle
                for (i = 0; i < NR && !(from in seen); i++)
                {
                    seen[from] = 1
                    from = next_of[from]
                }
                first = from
                do
                {
                    to = next_of[from]
                    print from " uses " calls[from, to] " of " to
                    from = to
                } while (from != first)
                break
            }
        }'
}

for room in scan build graph; do
    none "src/$room has no circle of files" "$(symbols_of $room 2>&1 | circle_in)"
done

# ------------------------------------------------------------------- lengths

found=$(wc -l $(find src -name '*.[ch]' ! -path 'src/kernel/*.c') |
    awk '$2 != "total" && $1 > 700 { print $2 ": " $1 " lines" }')
none "no file has more than 700 lines, but for instruction sets" "$found"

# A function is what stands between braces in the first column, behind a line that
# ends with ")"; the comment right above it may give the reason.
found=$(for file in $(find src -name '*.[ch]' | sort); do
    awk '
        /^\/\*/ { comment = "" }
        /^(\/\*| \*)/ { comment = comment $0 }
        /^[A-Za-z_][A-Za-z_0-9]*\(/ { name = $0; sub(/\(.*/, "", name) }
        /^{/ { start = last ~ /\)$/ ? FNR : 0 }
        /^}/ {
            lines = start ? FNR - start - 1 : 0
            if (lines > 60 && comment !~ /Long because/)
                print FILENAME ":" start ": " name "() has " lines " lines"
            start = 0
            comment = ""
        }
        { last = $0 }' "$file"
done)
none "no function has more than 60 lines, but for those whose comment says \"Long because\"" "$found"

# Characters are counted, not bytes: those that continue one are taken away.
for file in src/README.md src/*/README.md; do
    found=$(LC_ALL=C tr -d '\200-\277' <"$file" | LC_ALL=C awk -v file="$file" '
        length($0) > 100 { wide++ }
        END {
            if (NR >= 250)
                print file ": " NR " lines"
            if (wide > 0)
                print file ": " wide " lines of more than 100 columns"
        }')
    none "$file has less than 250 lines of at most 100 columns" "$found"
done

echo "1..$count"
[ "$failures" -eq 0 ]
