# SPDX-License-Identifier: MIT
# A Xen HVM guest with Linux's own xen-blkfront. The host plugs disks, and has the guest use them, a command a line.

driver() { echo "vbd-$2" >"/sys/bus/xen/drivers/vbd/$1" && echo ok || true; }

expect_xen
mark "ready Linux $(uname -r)"
serve_commands
