#!/bin/bash
# As the entrypoint of the image postgres does it: a new database is made at the first start, as root or as postgres.
set -Eeo pipefail
PATH=/usr/lib/postgresql/15/bin:$PATH

file_env() { # NAME [DEFAULT]: the value of $NAME, or the contents of the file $NAME_FILE
    local file="$1_FILE"
    if [ -n "${!1-}" ] && [ -n "${!file-}" ]; then
        echo "error: both $1 and $file are set" >&2
        exit 1
    fi
    [ -z "${!file-}" ] || export "$1"="$(< "${!file}")"
    [ -n "${!1-}" ] || export "$1"="${2-}"
    unset "$file"
}

if [ "$1" = postgres ] && [ "$(id -u)" = 0 ]; then
    mkdir -p "$PGDATA" /run/postgresql
    chown -R postgres:postgres "$PGDATA" /run/postgresql
    chmod 700 "$PGDATA"
    exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi
if [ "$1" = postgres ] && [ ! -s "$PGDATA/PG_VERSION" ]; then
    file_env POSTGRES_USER postgres
    file_env POSTGRES_PASSWORD
    file_env POSTGRES_DB "$POSTGRES_USER"
    if [ -z "$POSTGRES_PASSWORD" ]; then
        echo "error: POSTGRES_PASSWORD is not set" >&2
        exit 1
    fi
    initdb --username="$POSTGRES_USER" --pwfile=<(echo "$POSTGRES_PASSWORD") --auth-host=scram-sha-256 --no-sync
    echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
    echo "listen_addresses = '*'" >> "$PGDATA/postgresql.conf"
    pg_ctl -o "-c listen_addresses=''" -w start
    [ "$POSTGRES_DB" = postgres ] || createdb -U "$POSTGRES_USER" "$POSTGRES_DB"
    for file in /docker-entrypoint-initdb.d/*.sql; do
        [ ! -e "$file" ] || psql -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d "$POSTGRES_DB" -f "$file"
    done
    pg_ctl -m fast -w stop
    echo "PostgreSQL init process complete; ready for start up."
fi
exec "$@"
