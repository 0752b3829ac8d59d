#!/bin/sh
# Race anew and put tables and pictures into docs/race, beside what kfac-jax left there:
#   scripts/readme_race.sh [race arguments]
set -e
made=outputs/race/readme
cd "$(dirname "$0")/.."
nglab race out="$made" beside=docs/race/kfac_jax.csv "$@"
for file in figure3.png profiles.png sensitivity.png race.csv settings.csv race.md; do
    cp "$made/$file" docs/race/
done
