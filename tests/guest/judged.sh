# SPDX-License-Identifier: MIT
# For a guest whose frontend is judged: a disk that may never come, and I/O that may never end.

mkfifo /tmp/answers /tmp/taken
exec 4<>/tmp/answers

# A command that answers with one line, but perhaps never: the line, or "hung" after so many seconds. It goes on in the
# background, and `late SECONDS` waits for it once more. An emulated processor takes long to start a process, so nothing
# here polls. It ends only when its answer was taken: the signal of its end would make the shell forget half a line.
within() {
    patience=$1 && shift
    { { "$@" || echo "error the command ended with status $?"; } >/tmp/answers 2>&1; read -r word </tmp/taken; } &
    job=$!
    late "$patience"
}
late() {
    read -r -t "$1" answer <&4 || { echo hung; return; }
    echo >/tmp/taken
    wait $job
    echo "$answer"
}

# driver unbind NUMBER: has Linux's xen-blkfront leave a vbd.
driver() { echo "vbd-$2" >"/sys/bus/xen/drivers/vbd/$1" && echo ok || true; }

# left NUMBER: whether Linux lets a vbd go after its backend went away. The link of the bus goes at once.
left() { await "[ ! -e /sys/devices/vbd-$1 ]" && echo ok || echo no; }

# The disk's sectors of 512 bytes, their real size, and whether it is read-only; "none" after so many seconds.
there() { [ -b "/dev/$1" ] && read -r size <"/sys/block/$1/size" && [ "$size" != 0 ]; }
disk() {
    read -r up rest </proc/uptime
    end=$((${up%.*} + $2 + 1))
    until there "$1"; do
        read -r up rest </proc/uptime
        [ "${up%.*}" -lt $end ] || { echo none; return; }
        usleep 20000
    done
    echo "$size $(cat "/sys/block/$1/queue/logical_block_size" "/sys/block/$1/ro" | xargs)"
}
