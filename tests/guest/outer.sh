# SPDX-License-Identifier: MIT
# The outer guest: its Linux has KVM on an emulated AMD SVM, and runs QEMU again, whose guest is a real Xen one.

cd /nested || fail "/nested is missing"
for name in hosted own; do truncate -s 32M $name.raw; done
mark "step outer: Linux with KVM is up, starting the inner QEMU"
# The inner guest reports on our second serial port, as we do.
./qemu -L fw -accel kvm,xen-version=0x40011,kernel-irqchip=split -cpu host -m 512 -nodefaults -display none \
    -no-reboot -chardev stdio,id=console,signal=off -serial chardev:console \
    -chardev file,id=control,path=/dev/ttyS1 -serial chardev:control \
    -kernel vmlinuz -initrd inner.initrd -append "console=ttyS0 quiet panic=-1" $(cat arguments) </dev/null
status=$?
[ $status = 0 ] || fail "the inner QEMU ended with status $status"
for name in hosted own; do mark "sum outer-$name $(md5sum $name.raw | cut -d' ' -f1)"; done
mark "finished"
end
