# test/setup/server.sh
#       A PostgreSQL of our own: found, copied into the scratch directory,
#       given the extension, started on a Unix socket.
#
# Sourced by POSIX sh after test/setup/machine.sh.  PostgreSQL finds its
# libraries and shared files relative to its program, so a copy of the programs
# beside links to the rest is a whole installation: the extension goes
# into the copy, the machine's PostgreSQL stays untouched, and neither root
# nor extension_control_path (PostgreSQL 18) is needed.
# Sets PG (the copy's bin directory), PGXS_DIR, PG_VERSION.

PG=
PGXS_DIR=
PG_VERSION=

# Is this the pg_config of a server with headers and PGXS?
usable_pg_config()
{
    [ -x "$("$1" --bindir 2>/dev/null)/postgres" ] && [ -e "$("$1" --pgxs)" ] &&
        [ -e "$("$1" --includedir-server)/postgres.h" ]
}

# Print the pg_config to use: $PG_CONFIG, else the newest of Debian's, else the
# one in PATH.
find_postgres()
{
    if [ -n "${PG_CONFIG:-}" ]; then
        usable_pg_config "$PG_CONFIG" || return 1
        say "$PG_CONFIG"
        return 0
    fi
    for config in $(ls -d /usr/lib/postgresql/*/bin/pg_config 2>/dev/null | sort -rV) \
        "$(command -v pg_config)"; do
        if [ -n "$config" ] && usable_pg_config "$config"; then
            say "$config"
            return 0
        fi
    done
    return 1
}

# Copy the PostgreSQL of pg_config $1 to directory $2.  Programs are copied,
# because a server follows links to learn where it lives; the rest is linked.
copy_postgres()
{
    bin=$("$1" --bindir)
    for dir in "$("$1" --pkglibdir)" "$("$1" --sharedir)"; do
        as_user mkdir -p "$2$(dirname "$dir")"
        as_user cp -as "$dir" "$2$dir" || die "cannot link $dir"
    done
    as_user mkdir -p "$2$bin"
    as_user cp -L "$bin"/* "$2$bin/" || die "cannot copy $bin"
    include=$("$1" --includedir-server)
    as_user mkdir -p "$2$(dirname "$include")"
    as_user ln -s "$include" "$2$include"

    PG=$2$bin
    PGXS_DIR=$(dirname "$(dirname "$("$PG/pg_config" --pgxs)")")
    PG_VERSION=$("$PG/pg_config" --version)
    [ "$("$PG/pg_config" --sharedir)" = "$2$("$1" --sharedir)" ] ||
        die "this PostgreSQL cannot be moved: $PG_VERSION in $bin"
    # An older installation of ours must not be what is tested.
    rm -f "$2$("$1" --pkglibdir)"/qvec*.so "$2$("$1" --sharedir)"/extension/qvec*
}

# Start a throw-away server with its data in $1; further arguments are lines of
# postgresql.conf.  Sets PGHOST, PGPORT, PGUSER for the clients that follow; on
# failure prints the log and returns non-zero.
start_server()
{
    data=$1
    shift
    as_user "$PG/initdb" -D "$data" -U postgres -A trust -E UTF8 --locale=C --no-sync \
        >"$SCRATCH/initdb.log" 2>&1 || { cat "$SCRATCH/initdb.log"; return 1; }
    as_user mkdir -p "$SCRATCH/socket"
    {
        say "listen_addresses = ''"
        say "unix_socket_directories = '$SCRATCH/socket'"
        say "fsync = off"
        for line in "$@"; do say "$line"; done
    } >>"$data/postgresql.conf"
    as_user "$PG/pg_ctl" -D "$data" -l "$SCRATCH/server.log" -w -s start ||
        { cat "$SCRATCH/server.log"; return 1; }
    export PGHOST="$SCRATCH/socket" PGPORT=5432 PGUSER=postgres
}

restart_server()
{
    as_user "$PG/pg_ctl" -D "$1" -l "$SCRATCH/server.log" -w -s -m fast restart
}
