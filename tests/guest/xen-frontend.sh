# SPDX-License-Identifier: MIT
# A Xen HVM guest with Linux's own xen-blkfront. The host plugs disks, and has the guest use them, a command a line.

expect_xen
mark "ready Linux $(uname -r)"
serve_commands
