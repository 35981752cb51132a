# shellcheck shell=bash
# Functions of the scripts that install what they need. A script sources this file first; it sets `root`, the root of the
# repository, and `me`, the name of the script in messages.
#
# Packages that are installed already cost nothing. A function that cannot install returns 1 after a message.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
me=$(realpath "$0")
me=${me#"$root/"}
me=${me#.ci/}

say() { printf '%s: %s\n' "$me" "$*" >&2; }
die() { say "$*"; exit 1; }

# alone DIRECTORY COMMAND...: runs a command that downloads, up to three times. Others that name the same directory wait.
alone() {
    (
        # npm exits by itself on an interrupt, which bash then takes for handled.
        trap 'trap - INT; kill -INT "$BASHPID"' INT
        ! command -v flock >/dev/null || flock 9
        for attempt in 1 2 3; do
            # Without the lock, which a service that the command starts would keep.
            "${@:2}" 9<&- && exit
            say "attempt $attempt of 3 failed"
            ((attempt == 3)) || sleep $((attempt * 5))
        done
        exit 1
    ) 9<"$1" >&2
}

# debian_packages [PROGRAM=]PACKAGE...: installs the packages whose program is missing, or whose file if it has a path.
debian_packages() {
    local wanted missing=()
    for wanted; do
        command -v "${wanted%=*}" >/dev/null || [[ $wanted == /* && -e ${wanted%=*} ]] || missing+=("${wanted#*=}")
    done
    ((${#missing[@]} > 0)) || return 0
    if ((EUID != 0)) || ! command -v apt-get >/dev/null; then
        say "missing: ${missing[*]}; installing them requires root and apt-get"
        return 1
    fi
    say "installing the Debian packages ${missing[*]}"
    # `apt-get update` ignores the option by which `install` waits for other programs.
    alone /var/lib/apt apt_install "${missing[@]}"
}

# RUNLEVEL: packages must not start their services.
apt_install() {
    apt-get update -qq && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
        apt-get install -qq -y --no-install-recommends -o DPkg::Lock::Timeout=600 "$@"
}

# npm_packages SOURCE DIRECTORY: installs what the lock file in SOURCE pins in DIRECTORY, which may be SOURCE.
npm_packages() {
    # On Debian, npm is a separate package.
    debian_packages node=nodejs npm && once "$1/package-lock.json" "$2/node_modules" npm_ci "$1" "$2"
}

npm_ci() {
    [[ $1 -ef $2 ]] || cp "$1/package.json" "$1/package-lock.json" "$2" || return
    npm ci --prefix "$2" --ignore-scripts --no-audit --no-fund --loglevel=error
}

# pypi_packages REQUIREMENTS DIRECTORY: installs the packages in a virtual environment.
pypi_packages() {
    # On Debian, virtual environments are a separate package.
    is_filled "$@" || python3 -c "import ensurepip" 2>/dev/null || debian_packages python3-venv || return
    once "$1" "$2" virtual_environment "$1" "$2"
}

virtual_environment() {
    python3 -m venv "$2" && "$2/bin/pip" install --quiet --disable-pip-version-check --requirement "$1"
}

# once WANTED DIRECTORY COMMAND...: runs a command that fills the directory, unless it did for the same content of the
# file WANTED.
once() {
    is_filled "$@" || { say "installing ${2#"$root/"}" && alone "$root/.ci" fill "$@"; }
}

is_filled() { cmp --silent "$1" "$2/.installed"; }

fill() {
    # Another process may have filled it in the meantime.
    is_filled "$@" || { rm -rf "$2" && mkdir -p "$2" && "${@:3}" && cp "$1" "$2/.installed"; }
}
