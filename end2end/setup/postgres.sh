#!/usr/bin/env bash
# Runs a command beside a PostgreSQL server of its own. The command finds the directory of the server's
# socket in TEST_POSTGRES, there a program `control`, which is pg_ctl of this server, and PostgreSQL's
# programs on its PATH; the user is `membrane` and has no password. Everything is gone afterwards.
#
#   end2end/setup/postgres.sh <command>...
set -euo pipefail

# Debian keeps the programs of each version apart.
programs=$(command -v initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb' | sort --version-sort | tail -n 1)
[[ -n $programs ]] || {
    echo 'initdb is missing: install PostgreSQL' >&2
    exit 1
}
programs=$(dirname "$(realpath "$programs")")
PATH=$programs:$PATH

# It refuses to run as root.
as_somebody=()
if ((EUID == 0)); then
    as_somebody=(setpriv --reuid 65534 --regid 65534 --clear-groups --)
fi
directory=$(mktemp -d /tmp/membrane-postgres.XXXXXX)
((EUID != 0)) || chown 65534:65534 "$directory"
cd "$directory"

# What is lost in a power cut is of no matter here, and that we lose nothing is shown by killing servers.
"${as_somebody[@]}" initdb --pgdata "$directory/data" --username membrane --auth trust --encoding UTF8 \
    --no-locale --no-sync >"$directory/initdb.log" 2>&1 || {
    cat "$directory/initdb.log" >&2
    exit 1
}
cat >>"$directory/data/postgresql.conf" <<END
listen_addresses = ''
unix_socket_directories = '$directory'
max_connections = 500
shared_buffers = 64MB
fsync = off
full_page_writes = off
END
cat >"$directory/control" <<END
#!/bin/sh
exec ${as_somebody[*]} $programs/pg_ctl --pgdata $directory/data --log $directory/server.log --silent --wait "\$@"
END
chmod +x "$directory/control"
stop() {
    "$directory/control" --mode immediate stop || true
    cd /
    rm -rf "$directory"
}
trap stop EXIT
"$directory/control" start
cd "$OLDPWD"
TEST_POSTGRES=$directory "$@"
