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

# 1MSG's official SDK in a Python of its own under target/; made anew when its versions change.
need_onemsg_sdk() {
    local venv=$PWD/target/sdk-venv wanted=lab/tests/sdk/requirements.txt
    export ROWBELL_SDK_PYTHON=$venv/bin/python
    cmp -s "$wanted" "$venv/installed" && "$ROWBELL_SDK_PYTHON" -c "import one_msg_sdk" 2>/dev/null && return
    if ! python3 -c "import ensurepip, venv" >/dev/null 2>&1; then
        echo "installing Debian packages python3 and python3-venv: for 1MSG's official SDK"
        install_packages python3 python3-venv
    fi
    echo "installing 1MSG's official SDK from PyPI into target/sdk-venv"
    python3 -m venv --clear "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$wanted"
    cp "$wanted" "$venv/installed"
}
