#!/usr/bin/env bash
# `cargo test` with these arguments. What failed, and at which words, is said once more at the very
# end: a log is often seen from its end only.
set -euo pipefail

log="$(mktemp)"
trap 'rm -f "$log"' EXIT
if cargo test "$@" 2>&1 | tee "$log"; then
    exit 0
fi
awk '
    /^failures:$/            { inside = 1 }
    /^test result:/          { inside = 0 }
    !inside                  { next }
    /^---- .* stdout ----$/  { if (!said++) print "\nWhat failed:"; print "\n" $2 }
    / panicked at |^Error: / { left = 6 }
    /^stack backtrace:|^note: / { left = 0 }
    left > 0                 { print "    " substr($0, 1, 400); left-- }
' "$log"
exit 1
