#!/bin/busybox sh
# SPDX-License-Identifier: MIT
# The beginning of every guest's /init: a small Linux, and a line to the host on the second serial port.

/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
ln -s /proc/self/fd /dev/fd

# Kept open: what the host writes early waits in the port until it is read.
stty -F /dev/ttyS1 raw -echo
exec 3<>/dev/ttyS1

mark() { echo "PVBLK: $*" >&3; echo "mark: $*"; }

# Closing the port waits until all of it was sent.
end() { exec 3>&-; poweroff -f; }

fail() {
    dmesg | tail -n 20
    mark "FAILED $*"
    end
}

# NAME.option=value on the kernel's command line is for the module NAME, as with modprobe. Without other processes: an
# emulated processor takes long to start one.
read -r command_line </proc/cmdline
load() {
    options=
    for word in $command_line; do
        case $word in "${1//-/_}".*) options="$options ${word#*.}" ;; esac
    done
    insmod "/lib/modules/$1.ko" $options || fail "module $1 cannot be loaded"
}

# The kernel's log as an event source: returns at the first line that matches, also one already logged.
await_log() { timeout "$2" grep -q -m1 -E "$1" /dev/kmsg; }

# For what is no event: the condition, ten times a second for ten seconds.
await() {
    for attempt in $(seq 100); do
        eval "$1" && return
        sleep 0.1
    done
    return 1
}

sectors() { cat "/sys/block/$1/size"; }

expect_xen() {
    dmesg | grep -q 'Hypervisor detected: Xen HVM' || fail "Linux does not take this for a Xen HVM guest"
}

trouble='I/O error|blk_update_request|EXT4-fs error|BUG:|WARNING:|Oops|Call Trace|blocked for more'
trouble="$trouble|xenbus_dev_error|blkfront.*(fail|error)|Bad status"

# Nothing in the kernel's log may point to trouble with a disk.
check_log() {
    bad=$(dmesg | grep -E "$trouble") &&
        fail "the kernel's log says: $(echo "$bad" | head -n 3)"
}
