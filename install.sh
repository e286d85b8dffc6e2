#!/bin/sh
# Make the virtual environment $1 from requirements.lock: exact versions and hashes, nothing resolved, nothing built.
set -eu
venv=$1
cd "$(dirname "$0")"
for candidate in "${PYTHON:-python3}" python3.13 python3.12 python3.11; do
    if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [ -z "${python:-}" ]; then
    echo "Drivetrain needs Python 3.11, 3.12 or 3.13 with its venv module (on Debian: apt-get install python3-venv)." >&2
    echo "Name one by: make PYTHON=/path/to/python3.12 ..." >&2
    exit 2
fi
# An interrupted installation, or another Python's, is made anew.
if [ ! -x "$venv/bin/pip" ] || ! "$venv/bin/python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
    rm -rf "$venv"
    echo "Making the environment $venv with $("$python" --version) ..."
    "$python" -m venv "$venv"
fi
echo "Installing $(grep -c '==' requirements.lock) pinned packages (one to three minutes the first time) ..."
PIP_DISABLE_PIP_VERSION_CHECK=1 "$venv/bin/pip" install --quiet --no-deps --require-hashes -r requirements.lock 2>"$venv/install.log" ||
    { cat "$venv/install.log" >&2; exit 1; }
PIP_DISABLE_PIP_VERSION_CHECK=1 "$venv/bin/pip" install --quiet --no-deps --no-build-isolation --editable . 2>"$venv/install.log" ||
    { cat "$venv/install.log" >&2; exit 1; }
"$venv/bin/python" -m compileall -q assets demo pipelines resources sensors warehouse >/dev/null || true
echo "Installed."
