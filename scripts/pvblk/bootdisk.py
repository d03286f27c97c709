# SPDX-License-Identifier: MIT
"""A bootable disk: tests/guest/boot/boot.S and random data whose sum the booted code must report and write back."""

import os
import struct

from . import guest, images, paths, qemu, ui

SOURCE = paths.GUEST_SCRIPTS / "boot" / "boot.S"
DATA_OFFSET = 2048 * 512
DATA_BYTES = 64 * 512
RESULT_OFFSET = 4096 * 512
SIZE = 8 * images.MIB


def assemble(folder):
    """Boot sector and stage two, 1024 bytes."""
    log = paths.LOGS / f"{folder.name}.boot.log"
    log.unlink(missing_ok=True)
    ui.run(["as", "--32", "-o", folder / "boot.o", SOURCE], log, "boot: assembling")
    ui.run(["ld", "-m", "elf_i386", "--oformat", "binary", "-Ttext", "0x7c00", "-e", "start",
            "-o", folder / "boot.bin", folder / "boot.o"], log, "boot: linking")
    code = (folder / "boot.bin").read_bytes()
    if len(code) != 1024 or code[510:512] != b"\x55\xaa":
        raise ui.Problem(f"boot.S makes {len(code)} bytes, but should make two sectors with a signature", log)
    return code


def make(path, code, data):
    images.raw(path, SIZE)
    with open(path, "r+b") as out:
        out.write(code)
        out.seek(DATA_OFFSET)
        out.write(data)
    return path


def checksum(data):
    return sum(struct.unpack(f"<{len(data) // 4}I", data)) & 0xFFFFFFFF


def run(name):
    """SeaBIOS boots from our disk because of its bootindex: another bootable one stands before it on the bus."""
    folder = images.folder(name)
    code = assemble(folder)
    data = os.urandom(DATA_BYTES)
    ours = make(folder / "ours.raw", code, data)
    decoy = make(folder / "decoy.raw", code, bytes(DATA_BYTES))
    words = ["-machine", "pc,xen-emu=on", "-accel", "tcg", "-m", "64"]
    for node, image, device in (("decoy", decoy, "virtio-blk-pci,bootindex=2"),
                                ("ours", ours, "xen-pvblk-pci,bootindex=1")):
        words += ["-blockdev", f"driver=file,node-name={node}-file,filename={guest.escaped(image)}",
                  "-blockdev", f"driver=raw,node-name={node},file={node}-file",
                  "-device", f"{device},id={node},drive={node}"]
    with guest.Guest(name, words, qemu.program("qemu-system-x86_64")) as machine:
        reported = machine.wait_for("booted", 120)
        machine.qmp("quit")
        machine.wait_end()
        expected = checksum(data)
        if reported != f"{expected:08x}":
            raise machine.problem(f"the booted code read data with the sum {reported}, but our disk has {expected:08x}"
                                  + (": it booted from the other disk" if reported == "00000000" else ""))
        with open(ours, "rb") as image:
            image.seek(RESULT_OFFSET)
            written = image.read(12)
        if written != b"PVBLKSUM" + struct.pack("<I", expected):
            raise machine.problem(f"the booted code's write did not reach the image: {written!r}")
