# SPDX-License-Identifier: MIT
# The contract's side of a Linux guest (docs/bring-your-own-frontend.rst): it does a line of the host at a time, and says
# what came of it. Words of the kernel's command line: disk=xvda, and seconds=N to wait for that disk.

disk=xvda
seconds=20
for word in $command_line; do
    case $word in
    disk=*) disk=${word#disk=} ;;
    seconds=*) seconds=${word#seconds=} ;;
    esac
done

dmesg | grep -q 'Hypervisor detected: Xen HVM' || mark "note Linux does not take this for a Xen HVM guest"
for attempt in $(seq $((seconds * 10))); do
    [ -b "/dev/$disk" ] && break
    sleep 0.1
done
if [ -b "/dev/$disk" ]; then mark "ready $(pattern "/dev/$disk" size)"; else mark "ready error there is no /dev/$disk"; fi

while read -r command <&3; do
    case $command in
    end) mark ok && break ;;
    # Words are separate arguments.
    *) mark "$(pattern "/dev/$disk" $command)" ;;
    esac
done
exec 3>&-
# Without a sync, which would wait for what is stuck.
poweroff -n -f
