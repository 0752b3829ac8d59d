#!/usr/bin/env bash
# Make Figure 1 afresh and copy what the README shows: the picture, its table and the commit that made them.
#   scripts/readme_figure.sh [figure1 arguments]
set -euo pipefail
cd "$(dirname "$0")/.."
made=outputs/figure1/readme
rm -rf "$made"
make figure1 ARGS="out=$made $*"
mkdir -p docs/figure1
cp "$made"/{figure1.png,figure1.md,learning_rates.png} docs/figure1/
echo "Made by \`make figure1 ${*:+ARGS=\"$*\"}\` at commit $(git describe --always --dirty=+changes --exclude='*')." >>docs/figure1/figure1.md
