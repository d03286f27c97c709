#!/bin/sh
# SPDX-License-Identifier: MIT
# subproject.sh MESON BUILD SOURCE: examples/outer builds with this tree as its subproject, which configures no test of
# ours and asks for nothing that only those need.
set -eu
meson=$1 build=$2 source=$3
outer=$build/tests/library/outer
rm -rf "$outer"
mkdir -p "$outer/subprojects"
cp "$source"/examples/outer/meson.build "$source"/examples/frontend* "$outer"
ln -s "$source" "$outer/subprojects/xen-pvblk"

# A pvblk of the system's is another one.
"$meson" setup "$outer/build" "$outer" -Doptimization=0 -Ddebug=false --wrap-mode=forcefallback
"$meson" compile -C "$outer/build" frontend_test
"$meson" test -C "$outer/build" --no-rebuild --print-errorlogs

tests=$("$meson" test -C "$outer/build" --list --no-rebuild 2>/dev/null)
[ "$tests" = "frontend" ] || { echo "tests of ours in somebody else's project: $tests"; exit 1; }
if grep -i -e gtest -e googletest -e 'xen/io' "$outer/build/meson-logs/meson-log.txt"; then
    echo "asks for what only tests need"
    exit 1
fi
