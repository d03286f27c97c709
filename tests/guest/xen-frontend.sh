# SPDX-License-Identifier: MIT
# A Xen HVM guest with Linux's own xen-blkfront. The host plugs disks, and has the guest use them, a command a line.

# A command whose answer may never come: its output, or "hung" after so many seconds. It goes on in the background, and
# `late SECONDS` waits for it once more.
within() {
    patience=$1 && shift
    number=$((number + 1))
    ("$@" >/tmp/said.$number 2>&1; mv /tmp/said.$number /tmp/answer.$number) &
    late "$patience"
}
late() {
    for attempt in $(seq $(($1 * 50))); do
        [ -f /tmp/answer.$number ] && { cat /tmp/answer.$number; return; }
        usleep 20000
    done
    echo hung
}
number=0

# The disk's sectors of 512 bytes, their real size, and whether it is read-only; "none" after so many seconds.
disk() {
    for attempt in $(seq $(($2 * 50))); do
        [ -b "/dev/$1" ] && [ "$(sectors "$1")" != 0 ] && {
            echo "$(sectors "$1") $(cat "/sys/block/$1/queue/logical_block_size" "/sys/block/$1/ro" | xargs)"
            return
        }
        usleep 20000
    done
    echo none
}
driver() { echo "vbd-$2" >"/sys/bus/xen/drivers/vbd/$1" && echo ok; }

expect_xen
mark "ready Linux $(uname -r)"
serve_commands
