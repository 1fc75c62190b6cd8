#!/usr/bin/env bash
# Makes the Python environment that the other scripts and the tests use, and prints its folder.
#   python.sh [REQUIREMENTS]   installs the requirements too, once per content of that file
set -euo pipefail
. "$(dirname "$0")/lib.sh"

venv="$cache/venv"
if [ ! -x "$venv/bin/pip" ]; then
    say "Making a Python environment in $venv"
    python3 -m venv --clear "$venv"
fi
if [ $# -gt 0 ]; then
    stamp="$venv/.installed-$(sha256sum "$1" | cut -c1-16)"
    if [ ! -e "$stamp" ]; then
        say "Installing the Python packages of ${1#"$root"/}"
        "$venv/bin/pip" install --quiet --only-binary :all: --requirement "$1" >&2
        touch "$stamp"
    fi
fi
echo "$venv"
