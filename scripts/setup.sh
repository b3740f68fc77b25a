#!/bin/sh
# Installs the Debian packages of packages.txt that are missing; touches no network when none is.
# Exit codes: 0 all there, 1 the installation failed, 2 it needs an administrator (the line to run is printed).
set -eu
here=$(cd "$(dirname "$0")" && pwd)

missing_packages() {
    sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$here/packages.txt" | while read -r package; do
        status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
        [ "$status" = installed ] || printf '%s ' "$package"
    done
}

command -v dpkg-query >/dev/null || {
    echo "heapmark: this is not a Debian system; install the counterparts of $here/packages.txt" >&2
    exit 2
}
missing=$(missing_packages)
[ -n "$missing" ] || exit 0

install="apt-get install -y --no-install-recommends $missing"
if [ "$(id -u)" -eq 0 ]; then
    as_root=
elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
    as_root=sudo
else
    echo "heapmark: packages are missing and there is neither root nor sudo; have an administrator run:" >&2
    echo "apt-get update && $install" >&2
    exit 2
fi
echo "heapmark: installing $missing" >&2
$as_root apt-get update -qq
# shellcheck disable=SC2086  # the list is meant to be split
$as_root env DEBIAN_FRONTEND=noninteractive $install >/dev/null
