# SPDX-License-Identifier: MIT
# Domain 0 serves itself: examples/serve.cc, or the conformance suite, is the backend of xvda, and Linux's own xen-blkfront
# the frontend. The host calls these functions.

back=/local/domain/0/backend/pvblk/0/51712
front=/local/domain/0/device/vbd/51712
disk=/dev/xvda
image=/image
mkfifo /tmp/serve.commands /tmp/serve.answers
exec 6<>/tmp/serve.commands 7<>/tmp/serve.answers

make_pattern() { head -c 2097152 /dev/urandom >/pattern; }
make_image() { truncate -s 0 /image && truncate -s 32M /image; }

# As a toolstack does, in one transaction: a new frontend that finds Closed in the backend's state is Closed at once.
attach() {
    xenstore write $back/frontend $front $back/frontend-id 0 $back/online 1 $back/state 1 $front/backend $back \
        $front/backend-id 0 $front/virtual-device 51712 $front/device-type disk $front/state 1
}

state() { xenstore read "$1/state"; }

answer() {
    read -r -t 30 line <&7 || line="serve does not answer: $(tail -n 3 /tmp/serve.log)"
    echo "$line"
    [ "${line%% *}" = ok ]
}

tell() { echo "$*" >&6 && answer; }

start() {
    serve 0 51712 /image "$@" <&6 >&7 2>>/tmp/serve.log 6>&- 7>&- &
    serve=$!
    answer
}

# start_judge OPTION …: the conformance suite's backend in the place of serve.
start_judge() {
    truncate -s 4M /fixed
    blkif-conformance --serve 51712 --domain 0 "$@" <&6 2>&7 >/tmp/verdict 6>&- 7>&- &
    serve=$!
    answer
}

# The frontend is asked to close, and its device goes. Without a driver there is nothing to close.
unplug_judge() {
    ask_toolstack && await '[ ! -e /sys/bus/xen/devices/vbd-51712/driver ] || [ "$(state $front)" = 6 ]' &&
        xenstore rm $front && xenstore rm $back && await "[ ! -e $disk ]"
}

# Its status is that of a verdict.
end_judge() {
    echo quit >&6
    wait $serve || true
}

# Its end is an event, too.
end_serve() {
    [ "$1" = quit ] && echo quit >&6 || kill "$1" $serve
    wait $serve
    [ $? = "$2" ]
}

# refused TEXT WORDS: serve ends at once, and says TEXT.
refused() {
    text=$1
    shift
    serve "$@" </dev/null >/tmp/out 2>&1 && return 1
    cat /tmp/out
    grep -q "$text" /tmp/out
}

disk_is_there() { [ -b $disk ] && read -r size </sys/block/xvda/size && [ "$size" = "$1" ]; }
await_disk() { await "disk_is_there $1"; }

ask_toolstack() { xenstore write $back/online 0 $back/state 5; }

# detach COMMAND: which asks the frontend to close. The nodes of both ends go: what this backend offered is no offer of the
# next one.
detach() {
    "$@" && await '[ "$(state $front)$(state $back)" = 66 ]' && xenstore rm $front && xenstore rm $back &&
        await "[ ! -e $disk ]"
}

# pieces SMALLEST OPTION …: copies the first 2 MiB by requests of four sizes.
pieces() {
    smallest=$1
    shift
    for piece in "$smallest 0 $((16384 / smallest))" "4k 4 12" "64k 1 15" "1M 1 1"; do
        set -- $piece "$@"
        size=$1 first=$2 count=$3
        shift 3
        dd bs="$size" skip="$first" count="$count" "$@" ${seek:+seek="$first"} 2>/tmp/errors || { cat /tmp/errors; return 1; }
    done
}

# Direct I/O. The data is in the image, and reads back.
verify() {
    seek=yes pieces "$1" if=/pattern of=$disk oflag=direct && head -c 2097152 $image | cmp - /pattern &&
        pieces "$1" if=$disk iflag=direct | cmp - /pattern
}

read_one() { dd if=$disk of=/tmp/one bs=4k count=1 skip=5 iflag=direct; }
read_right() { read_one && dd if=/pattern bs=4k count=1 skip=5 | cmp - /tmp/one; }
fails_to_read() { read_one 2>&1 | grep -q "Input/output error"; }

begin_read() {
    read_right &
    reader=$!
}
read_waits() { sleep 2 && kill -0 $reader; }
read_ends() { wait $reader; }

# An ext4: what is written is there after a second mount, and a trim frees the image's space.
use_ext4() {
    /sbin/mke2fs -q -F -t ext4 $disk && mount -t ext4 $disk /mnt && cp /pattern /mnt/one && umount /mnt &&
        mount -t ext4 $disk /mnt && cmp /mnt/one /pattern || return 1
    before=$(stat -c %b /image)
    rm /mnt/one && sync && fstrim /mnt && after=$(stat -c %b /image) && echo "blocks $before, then $after" &&
        [ "$((before - after))" -gt 2048 ]
}

# xen-blkback takes each folder below backend/vbd. Its frontend is nobody's, so that xen-blkfront leaves it alone.
attach_to_blkback() {
    xenstore write /local/domain/0/none/state 1 /local/domain/0/backend/vbd/0/51728/frontend /local/domain/0/none \
        /local/domain/0/backend/vbd/0/51728/frontend-id 0 /local/domain/0/backend/vbd/0/51728/state 1 &&
        await '[ -e /sys/bus/xen-backend/devices/vbd-0-51728/driver ]'
}

# blkback SECTOR: xen-blkback serves xvda from now on, a new disk with these sectors, and no program does.
blkback() {
    back=/local/domain/0/backend/vbd/0/51712 image=/disk-$1
    make_disk "$1" "$1" 32 || return 1
    [ "$1" = 512 ] || image=/dev/disk$1
    device=$(printf '%x:%x' "${device%:*}" "${device#*:}")
}
attach_blkback() {
    xenstore write $back/physical-device "$device" $back/type phy $back/mode w $back/dev xvda $back/removable 0 \
        $back/bootable 0 $back/hotplug-status connected && attach
}

# xen-blkback looks at the size when it gets a request.
resize_blkback() { truncate -s "$(($1 / 2))K" $image && losetup -c "$loop" && read_one; }

# agreed: the features of the connection, by both ends' nodes, and by Linux's disk.
agreed() {
    for node in multi-queue-num-queues ring-page-order feature-persistent; do
        echo "$node $(xenstore read $front/$node 2>/dev/null) $(xenstore read $back/$node 2>/dev/null)"
    done
    for limit in max_segments write_cache discard_max_bytes; do
        echo "$limit $(cat /sys/block/xvda/queue/$limit)"
    done
}

# verify_end SECTORS: writes and reads the last 4 KiB.
verify_end() {
    last=$(($1 / 8 - 1))
    dd if=/pattern of=$disk bs=4k count=1 seek=$last oflag=direct && dd if=$disk bs=4k count=1 skip=$last iflag=direct |
        cmp -n 4096 - /pattern
}

serve_from_program() { back=/local/domain/0/backend/pvblk/0/51712 image=/image; }
