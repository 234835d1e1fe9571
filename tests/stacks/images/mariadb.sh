#!/bin/bash
# As the entrypoint of the image mariadb does it: a new database is made at the first start.
set -eo pipefail
data=/var/lib/mysql
if [ "${1:0:1}" = - ]; then set -- mariadbd "$@"; fi
if [ "$1" = mariadbd ] && [ "$(id -u)" = 0 ]; then
    mkdir -p "$data" /run/mysqld
    find "$data" /run/mysqld ! -user mysql -exec chown mysql:mysql '{}' +
    exec setpriv --reuid=mysql --regid=mysql --init-groups "$0" "$@"
fi
if [ "$1" = mariadbd ] && [ ! -d "$data/mysql" ]; then
    password=${MARIADB_ROOT_PASSWORD-}
    [ -z "${MARIADB_ROOT_PASSWORD_FILE-}" ] || password=$(< "$MARIADB_ROOT_PASSWORD_FILE")
    user_password=${MARIADB_PASSWORD-}
    [ -z "${MARIADB_PASSWORD_FILE-}" ] || user_password=$(< "$MARIADB_PASSWORD_FILE")
    [ -n "$password" ] || { echo "error: MARIADB_ROOT_PASSWORD is not set" >&2; exit 1; }
    mariadb-install-db --datadir="$data" --skip-test-db --auth-root-authentication-method=normal > /dev/null
    {
        echo "FLUSH PRIVILEGES;"
        echo "ALTER USER root@localhost IDENTIFIED BY '$password';"
        if [ -n "${MARIADB_DATABASE-}" ]; then
            echo "CREATE DATABASE \`$MARIADB_DATABASE\`;"
            echo "CREATE USER '$MARIADB_USER'@'%' IDENTIFIED BY '$user_password';"
            echo "GRANT ALL ON \`$MARIADB_DATABASE\`.* TO '$MARIADB_USER'@'%';"
        fi
    } | mariadbd --bootstrap --datadir="$data"
    echo "MariaDB init process done. Ready for start up."
fi
exec "$@"
