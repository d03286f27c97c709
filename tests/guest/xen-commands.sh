# SPDX-License-Identifier: MIT
# A Xen HVM guest without a frontend of its own: it runs commands of the host.

expect_xen
[ -c /dev/xen/gntalloc ] || fail "there is no /dev/xen/gntalloc"
mark "ready Linux $(uname -r)"
serve_commands
