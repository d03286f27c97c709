#!/bin/sh
# SPDX-License-Identifier: MIT
# installed.sh MESON BUILD SOURCE: what `meson install` leaves is all that others need. Each public header compiles
# alone, c/ as C, too; the examples are built by pkg-config alone, and run.
set -eu
meson=$1 build=$2 source=$3
root=$build/tests/library/installed
rm -rf "$root"
DESTDIR=$root "$meson" install -C "$build" --no-rebuild --quiet

PKG_CONFIG_PATH=$(dirname "$(find "$root" -name pvblk.pc)")
export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR="$root" PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 PKG_CONFIG_ALLOW_SYSTEM_LIBS=1
cflags=$(pkg-config --cflags pvblk-loopback)
libs=$(pkg-config --libs pvblk-loopback)
cpp="-std=c++20 -Wall -Wextra -Wpedantic -Werror $cflags"
c="-std=c11 -Wall -Wextra -Wpedantic -Werror $cflags"

# Compilers and flags are words. shellcheck disable=SC2086
seen=0
include=$(dirname "$(find "$root" -path '*/pvblk/front.h' ! -path '*/c/*')")
for header in $(cd "$include" && find . -name '*.h' | cut -c3-); do
    echo "#include <pvblk/$header>" | $CXX $cpp -fsyntax-only -x c++ - || { echo "$header is not whole"; exit 1; }
    case $header in c/*)
        echo "#include <pvblk/$header>" | $CC $c -fsyntax-only -x c - || { echo "$header is no C"; exit 1; } ;;
    esac
    seen=$((seen + 1))
done
echo "$seen headers compile alone"
[ "$seen" -ge 10 ]

$CXX $cpp "$source/examples/read.cc" $libs -o "$root/read"
$CC $c "$source/examples/read.c" $libs -o "$root/read-c"
$CXX $cpp "$source/examples/frontend.cc" "$source/examples/frontend_test.cc" $libs -o "$root/frontend"
$CXX $cpp "$source/examples/faults.cc" $libs -o "$root/faults"
$CXX $cpp "$source/examples/vbd.cc" $(pkg-config --cflags --libs pvblk-linux) -o "$root/vbd"
$CXX $cpp "$source/examples/serve.cc" $(pkg-config --cflags --libs pvblk-linux) -o "$root/serve"
"$root/read" && "$root/read-c" && "$root/frontend" && "$root/faults"
# It has no disk to read here, and says why.
"$root/vbd" 0 2>"$root/vbd.errors" && { echo "vbd reads a disk that there is not"; exit 1; }
grep -q '^vbd: .*(.*, value [0-9]*)$' "$root/vbd.errors" || { cat "$root/vbd.errors"; exit 1; }
# Nor has it a frontend to serve.
"$root/serve" 0 51712 "$root/serve" 2>"$root/serve.errors" && { echo "serve serves no frontend"; exit 1; }
grep -q '^serve: .*(.*, value [0-9]*)$' "$root/serve.errors" || { cat "$root/serve.errors"; exit 1; }

version=$(pkg-config --modversion pvblk)
grep -q "^## $version\$" "$source/CHANGELOG.md" || { echo "CHANGELOG.md says nothing of $version"; exit 1; }
