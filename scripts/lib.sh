# Shared by scripts/test and scripts/demo: what a fresh Debian machine lacks.

# Runs a command as root, through sudo when we are not.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

install_packages() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q >/dev/null
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >/dev/null
}

# need_command COMMAND PACKAGE WHAT: installs the package when the command is missing.
need_command() {
    command -v "$1" >/dev/null 2>&1 && return
    echo "installing Debian package $2: $3"
    install_packages "$2"
}

# A PostgreSQL server, without the cluster that Debian would start by itself.
need_postgresql() {
    command -v postgres >/dev/null 2>&1 && return
    ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 && return
    echo "installing Debian package postgresql: throwaway servers for tests and demo"
    as_root mkdir -p /etc/postgresql-common
    if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
        echo "create_main_cluster = false" | as_root tee /etc/postgresql-common/createcluster.conf >/dev/null
    fi
    install_packages postgresql
}
