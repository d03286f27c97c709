# SPDX-License-Identifier: MIT
"""A Linux that is uncompressed here: an emulated processor takes seconds for it."""

import lzma
import struct
import subprocess

from . import buildtools, paths, stamp, ui

START = paths.GUEST_SCRIPTS / "boot" / "plain-linux.S"
LOG = paths.LOGS / "plain-linux.log"
ELF, XZ, ZSTD = b"\x7fELF", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd"
# Of the kernel's image, by Documentation/arch/x86/boot.rst: sectors of set-up, its size without them in units of 16 bytes,
# and where its payload is.
SETUP_SECTORS, SIZE, PAYLOAD = 0x1F1, 0x1F4, 0x248
# Where Linux's set-up code jumps to.
BEGIN = 0x100000
# An ELF header's e_entry and e_phoff, e_phentsize; a program header's p_offset, p_paddr, p_filesz, p_memsz: by the number of bits.
WIDE = {1: ("<II", 42, "<4xI4xIII"), 2: ("<QQ", 54, "<8xQ8xQQQ")}


def _setup_bytes(data):
    return (data[SETUP_SECTORS] + 1) * 512


def _payload(data):
    offset, size = struct.unpack_from("<II", data, PAYLOAD)
    offset += _setup_bytes(data)
    # What follows is the uncompressed size, in four bytes that no compressor knows.
    return data[offset:offset + size - 4]


def is_slow(image):
    """Whether a guest takes seconds to uncompress it. For zstd, as much is lost when QEMU copies the larger image."""
    return _payload(image.read_bytes()).startswith(XZ)


def vmlinux(image):
    """The ELF file inside a kernel's image."""
    payload = _payload(image.read_bytes())
    if payload.startswith(XZ):
        content = lzma.decompress(payload)
    elif payload.startswith(ZSTD):
        content = subprocess.run(["zstd", "-dc"], input=payload, stdout=subprocess.PIPE).stdout
    else:
        content = b""
    if not content.startswith(ELF):
        raise ui.Problem(f"{paths.shown(image)} is compressed neither with xz nor with zstd; add its way to "
                         + paths.shown(__file__))
    return content


def inputs(image):
    return [stamp.files_digest([image, START]), buildtools.compiler_id()]


def make(image, to):
    """An image for the same loaders: Linux's own set-up code, code of ours in the decompressor's place, and the kernel."""
    data = image.read_bytes()
    place, entry, zeroes, kernel, wide = _flat(vmlinux(image))
    numbers = {"BYTES": len(kernel), "PLACE": place, "ZEROES": zeroes, "ENTRY": entry, "WIDE": int(wide)}
    start = to.with_suffix(".start")
    ui.run(["gcc", "-m32", "-nostdlib", "-static", "-Wl,--build-id=none", f"-Wl,-Ttext={BEGIN:#x}",
            "-Wl,--oformat=binary", "-o", start, *(f"-D{name}={value}" for name, value in numbers.items()), START], LOG,
           "the start of an uncompressed Linux")
    body = start.read_bytes() + kernel
    body += bytes(-len(body) % 16)
    setup = bytearray(data[:_setup_bytes(data)])
    struct.pack_into("<I", setup, SIZE, len(body) // 16)
    to.write_bytes(bytes(setup) + body)
    start.unlink()


def _flat(elf):
    """Place, entry, zeroes behind it, the bytes in memory, and whether it has 64 bits. All addresses are physical."""
    bits = elf[4]
    header, sizes, program = WIDE[bits]
    entry, table = struct.unpack_from(header, elf, 24)
    size, count = struct.unpack_from("<HH", elf, sizes)
    headers = [elf[table + size * i:table + size * (i + 1)] for i in range(count)]
    parts = [struct.unpack_from(program, header) for header in headers if header[:4] == b"\x01\0\0\0"]
    place = min(at for _, at, _, _ in parts)
    flat = bytearray(max(at + filled for _, at, filled, _ in parts) - place + 7 & ~7)
    for offset, at, filled, _ in parts:
        flat[at - place:at - place + filled] = elf[offset:offset + filled]
    end = max(at + whole for _, at, _, whole in parts)
    return place, entry, max(end - place - len(flat), 0) + 3 & ~3, bytes(flat), bits == 2
