# test/setup/machine.sh
#       What test/all and test/demo need of a machine: packages, an
#       unprivileged user, a scratch directory that is removed at exit.
#
# Sourced by POSIX sh.  Knows nothing of qvec: test/setup/server.sh does.
# Sets SCRATCH, RUN_USER, CPUS; expects nothing but a Debian with a shell, and
# where every program is there already, no Debian either.

SCRATCH=
RUN_USER=
CPUS=$(nproc 2>/dev/null || echo 1)

say()
{
    printf '%s\n' "$*"
}

die()
{
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

is_root()
{
    [ "$(id -u)" -eq 0 ]
}

# ------------------------------------------------------------------ packages

# The newest PostgreSQL major version that this Debian offers.
offered_major()
{
    apt-cache depends postgresql 2>/dev/null |
        sed -n 's/.*Depends: postgresql-\([0-9][0-9]*\)$/\1/p' | sort -n | tail -n 1
}

# The newest PostgreSQL major version whose server is installed from packages.
installed_major()
{
    ls -d /usr/lib/postgresql/*/bin/postgres 2>/dev/null |
        sed 's,/usr/lib/postgresql/\([0-9]*\)/.*,\1,' | sort -n | tail -n 1
}

# Names of the packages that stand for what is not there yet.  Arguments: what
# is needed, out of: compiler make postgres prove postgres_build plpython fasttext bench.
missing_packages()
{
    for need in "$@"; do
        case $need in
            compiler)
                printf '#include <stdio.h>\n' | cc -E - >/dev/null 2>&1 || say gcc libc6-dev
                ;;
            make)
                command -v make >/dev/null || say make
                ;;
            postgres)
                if ! find_postgres >/dev/null; then
                    major=$(installed_major)
                    : "${major:=$(offered_major)}"
                    say "postgresql-${major:-NN}" "postgresql-server-dev-${major:-NN}"
                fi
                ;;
            prove)
                command -v prove >/dev/null || say perl
                perl -MIPC::Run -e 1 2>/dev/null || say libipc-run-perl
                ;;
            postgres_build)
                for program in bison flex perl bzip2; do command -v $program >/dev/null || say $program; done
                ;;
            bench)
                /usr/bin/python3 -c 'import numpy' 2>/dev/null || say python3-numpy
                /usr/bin/python3 -c 'import psycopg2' 2>/dev/null || say python3-psycopg2
                ;;
            plpython)
                # of Debian's server only: to another it is of no use; and matrices that are multiplied as fast as can be
                [ -n "$(ls /usr/lib/*/openblas*/libblas.so.3 2>/dev/null)" ] || say libopenblas0-pthread
                config=$(find_postgres) && [ -e "$("$config" --sharedir)/extension/plpython3u.control" ] ||
                    case $config in /usr/lib/postgresql/*) say "postgresql-plpython3-$(installed_major)" ;; esac
                ;;
            fasttext)
                command -v fasttext >/dev/null || say fasttext
                ;;
        esac
    done
}

# Install packages without starting or creating anything: Debian's PostgreSQL
# would make a cluster and start it, which is nobody's wish here.
install_packages()
{
    policy=/usr/sbin/policy-rc.d
    clusters=/etc/postgresql-common/createcluster.d
    our_policy= our_clusters= status=0
    if [ ! -e $policy ]; then
        our_policy=$policy
        printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy
    fi
    if [ ! -e $clusters/qvec-test.conf ]; then
        our_clusters=$clusters/qvec-test.conf
        mkdir -p $clusters
        say 'create_main_cluster = false' >$our_clusters
    fi
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" || status=$?
    rm -f $our_policy $our_clusters
    [ -z "$our_clusters" ] || rmdir $clusters 2>/dev/null || :
    return $status
}

# Make sure that the needs (see missing_packages) are met, or stop.
need()
{
    missing=$(missing_packages "$@")
    [ -n "$missing" ] || return 0
    is_root || die "missing: $(echo $missing)
Install these packages as root (or run this as root), then try again."
    command -v apt-get >/dev/null || die "missing, and no apt-get to install it: $(echo $missing)"

    log=$(mktemp)
    case $missing in
        *-NN*)
            say "== reading Debian's package lists"
            apt-get update >"$log" 2>&1 || { cat "$log"; rm -f "$log"; die "apt-get update failed"; }
            missing=$(missing_packages "$@")
            ;;
    esac
    say "== installing" $missing
    # Lists may be older than the archive: read them again before giving up.
    if ! install_packages $missing >"$log" 2>&1 &&
        ! { apt-get update && install_packages $missing; } >"$log" 2>&1; then
        tail -n 30 "$log"
        rm -f "$log"
        die "could not install:" $missing
    fi
    rm -f "$log"
    missing=$(missing_packages "$@")
    [ -z "$missing" ] || die "installed, but still missing:" $missing
}

# -------------------------------------------------------- user and directory

# Run a command as the unprivileged user, in SCRATCH, with nothing of the caller's
# PostgreSQL environment.
as_user()
{
    if is_root; then
        runuser -u "$RUN_USER" -- env -C "$SCRATCH" HOME="$SCRATCH" LC_ALL=C.UTF-8 "$@"
    else
        env -C "$SCRATCH" HOME="$SCRATCH" LC_ALL=C.UTF-8 "$@"
    fi
}

# Make SCRATCH, owned by the unprivileged user, and see to it that it goes at
# exit together with every server started below it.  PostgreSQL refuses to run
# as root; Debian's package brings the user postgres.
begin_scratch()
{
    RUN_USER=$(id -un 2>/dev/null || id -u)
    if is_root; then
        RUN_USER=nobody
        if id postgres >/dev/null 2>&1; then RUN_USER=postgres; fi
    fi
    for pg_variable in $(env | sed -n 's/^\(PG[A-Z_]*\)=.*/\1/p'); do
        [ "$pg_variable" = PG_CONFIG ] || unset "$pg_variable"
    done
    # Short, because a socket's path may not be longer than 107 bytes.
    SCRATCH=$(mktemp -d "/tmp/$1.XXXXXX") || die "cannot write to /tmp"
    chmod 755 "$SCRATCH"
    trap end_scratch EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    if is_root; then chown "$RUN_USER" "$SCRATCH"; fi
}

# Stop what runs below SCRATCH and remove it.
end_scratch()
{
    trap - EXIT INT TERM HUP
    [ -n "$SCRATCH" ] && [ -d "$SCRATCH" ] || return 0
    stop_servers_below "$SCRATCH"
    rm -rf "$SCRATCH"
}

# Stop the servers whose pid file lies below directory $1, as the user who owns
# them: the file is theirs to write, so root must not trust what it says.
stop_servers_below()
{
    find "$1" -name postmaster.pid 2>/dev/null | while read -r pidfile; do
        as_user sh -c '
            read -r pid <"$1" && kill -INT "$pid" || exit 0
            tries=0
            while kill -0 "$pid" && [ $tries -lt 100 ]; do
                sleep 0.1
                tries=$((tries + 1))
            done
            kill -QUIT "$pid"' sh "$pidfile" </dev/null 2>/dev/null || :
    done
}

# Copy the checkout without what builds leave behind.
copy_checkout()
{
    mkdir -p "$2"
    tar -C "$1" --exclude=./.git --exclude='*.o' --exclude='*.so' --exclude='*.bc' \
        --exclude=./test/unit/build --exclude=./results \
        --exclude=./tmp_check -cf - . | tar -C "$2" -xf - || die "cannot copy the checkout"
    if is_root; then chown -R "$RUN_USER" "$2"; fi
}
