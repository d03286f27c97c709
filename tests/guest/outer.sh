# SPDX-License-Identifier: MIT
# The outer guest: its Linux has KVM on an emulated AMD SVM, and runs QEMU again, whose guest is a real Xen one.
# The host's line goes on inside: what the inner guest writes goes to the host, and so does what the inner QEMU's QMP
# says; a line of the host's begins with the word `guest` or `monitor`, whom it is for.

cd /nested || fail "/nested is missing"
for name in hosted own; do truncate -s $size $name.raw; done
mkfifo guest.in guest.out monitor.in monitor.out
cat guest.out >&3 &
while read -r answer; do mark "monitor $answer"; done <monitor.out &
while read -r to text; do
    case $to in guest | monitor) echo "$text" >$to.in ;; esac
done <&3 &

mark "step outer: Linux with KVM is up, starting the inner QEMU"
./qemu -L fw -accel kvm,xen-version=0x40011,kernel-irqchip=split -cpu host -m 512 -smp $cpus -nodefaults \
    -display none -chardev stdio,id=console,signal=off -serial chardev:console \
    -chardev pipe,id=guest,path=guest -serial chardev:guest \
    -chardev pipe,id=monitor,path=monitor -mon chardev=monitor,mode=control \
    -kernel vmlinuz -initrd inner.initrd -append "console=ttyS0 quiet panic=-1" $(cat arguments) </dev/null
status=$?
[ $status = 0 ] || fail "the inner QEMU ended with status $status"
for name in hosted own; do mark "sum outer-$name $(md5sum $name.raw | cut -d' ' -f1)"; done
mark "outer-finished"
end
