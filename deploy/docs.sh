#!/bin/sh
# Build the documentation into build/site, with every warning an error:
#
#   sh deploy/docs.sh           # then open build/site/index.html; it needs no server and no network
#   sh deploy/docs.sh --serve   # while writing: http://127.0.0.1:8000, built anew at each change
#
# Environment: PYTHON (which has the extra `docs`: pip install -e '.[docs]'), EDGE_VENV (else its virtual environment, .venv).
set -eu
cd "$(dirname "$0")/.."

stop() { printf '%s\n' "docs.sh: $*" >&2; exit 2; }

python=${PYTHON:-${EDGE_VENV:-.venv}/bin/python}
"$python" -c 'import material, mkdocs' 2>/dev/null || stop "$python has no mkdocs-material: $python -m pip install -e '.[docs]'"
# The theme's authors advertise their next product on each run; it is no warning about these pages.
NO_MKDOCS_2_WARNING=1
export NO_MKDOCS_2_WARNING
case "${1:-}" in
    # Not --quiet: that hides warnings from the count that makes them errors.
    '')
        "$python" -m mkdocs build --strict --clean
        if grep -rnoE '<(script|link|img|iframe)[^>]* (src|href)="https?://[^"]+"' build/site --include='*.html'; then
            stop "the site must load nothing from another server"
        fi
        ;;
    --serve) exec "$python" -m mkdocs serve --strict ;;
    -h | --help) sed -n '2,7s/^# \{0,1\}//p' "$0" ;;
    *) stop "unknown option $1; see: sh deploy/docs.sh --help" ;;
esac
