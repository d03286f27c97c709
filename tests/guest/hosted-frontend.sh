# SPDX-License-Identifier: MIT
# A guest with virtio-blk for a hosted disk. The host plugs disks, and has the guest use them, a command a line.

mark "ready Linux $(uname -r)"
serve_commands
