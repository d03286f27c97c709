# SPDX-License-Identifier: MIT
"""The sessions of docs/debugging.rst with real guests: what scripts/gdb/pvblk.py shows is what is known otherwise.

Otherwise: from the guest's own variables, from QMP, from the device's counters, or because the test put it there.
"""

import os
import re
import socket
import struct
import subprocess
import tempfile
import time

import pytest

from pvblk import bootdisk, freestanding, guest, images, initramfs, kernel, paths, ui, xenguest

pytestmark = pytest.mark.needs("debugger", "qemu", "firmware")

COMMANDS = paths.ROOT / "scripts" / "gdb" / "pvblk.py"
PAGE = 4096
OWN_VBD = 51712


# ---- gdb, attached to a guest ----------------------------------------------------------------------------------------

# QEMU listens where a port is free. No Unix socket: see docs/debugging.rst.
STUB = ["-chardev", "socket,id=gdb,host=127.0.0.1,port=0,server=on,wait=off,nodelay=on", "-gdb", "chardev:gdb"]


def stub_address(machine):
    for device in machine.qmp("query-chardev"):
        found = re.search(r"tcp:(127\.0\.0\.1:\d+)", device["filename"])
        if device["label"] == "gdb" and found:
            return found[1]
    raise machine.problem("QEMU does not say where its gdbstub listens")


class Gdb:
    """`with Gdb(...) as gdb: text = gdb.ask("command")`. The whole dialogue is in a log."""

    def __init__(self, machine, program=None):
        self.log = paths.LOGS / f"{machine.name}.gdb.log"
        self.command = ["gdb", "-nx", "-q", "-iex", "set prompt", "-iex", "set confirm off",
                        "-iex", "set pagination off", "-iex", "set width 0", *([str(program)] if program else [])]
        self.address = stub_address(machine)
        self.asked = 0

    def __enter__(self):
        near, far = socket.socketpair()
        self.process = subprocess.Popen(self.command, stdin=far, stdout=far, stderr=far)
        far.close()
        self.line = guest.Line(near)
        self.out = open(self.log, "w")
        self.ask(f"target remote {self.address}")
        self.ask(f"source {COMMANDS}")
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.line.socket.close()
        self.out.close()

    def ask(self, command, seconds=60):
        """What gdb prints until the command is done."""
        self.asked += 1
        mark = f"@@{self.asked}@@"
        self.out.write(f"(gdb) {command}\n")
        self.line.write(f"{command}\necho \\n{mark}\\n")
        lines = []
        deadline = time.monotonic() + seconds
        while not lines or lines[-1] != mark:
            try:
                line = self.line.read(deadline)
            except TimeoutError:
                raise self.problem(f"'{command}' is not done after {seconds} s") from None
            if line is None:
                raise self.problem(f"gdb ended with status {self.process.wait()} during '{command}'")
            lines.append(line)
            self.out.write("" if line == mark else line + "\n")
            self.out.flush()
        return "\n".join(lines[:-1]).strip()

    def numbers(self, *expressions):
        """Values of the guest program's expressions."""
        return [self.find(r"= (\d+)$", f"print/d {expression}")[0] for expression in map(integer, expressions)]

    def find(self, pattern, command):
        """The groups of a pattern in what a command prints, numbers as numbers."""
        text = self.ask(command)
        found = re.search(pattern, text, re.M)
        if not found:
            raise self.problem(f"'{command}' shows no {pattern!r}: {text[-300:]}")
        return [int(group, 0) if re.fullmatch(r"0x[0-9a-f]+|[1-9][0-9]*|0", group) else group
                for group in found.groups()]

    def problem(self, text):
        return ui.Problem(f"gdb: {text}", self.log)

    def same(self, what, shown, known):
        if shown != known:
            raise self.problem(f"{what}: the commands show {shown}, known is {known}")


def integer(expression):
    return f"(unsigned long)({expression})"


def anonymous(name):
    return f"'(anonymous namespace)::{name}'"


def emulation(machine, kind, name):
    """A text of a device of the emulation, by QMP."""
    for child in machine.qmp("qom-list", path="/machine/unattached"):
        if child["type"] == f"child<{kind}>":
            return machine.qmp("qom-get", path=f"/machine/unattached/{child['name']}", property=name)
    raise machine.problem(f"there is no {kind}")


# ---- what all sessions check ----------------------------------------------------------------------------------------

def check_store(gdb, machine, path):
    """Each node below a path, once; returns the nodes that lie right below it."""
    text = emulation(machine, "xen-xenstore", "nodes")
    nodes = dict(line.removesuffix('"').split(' = "', 1) for line in text.splitlines())
    lines = re.findall(r'^( *)(\S+) = "(.*)"$', gdb.ask(f"pvblk store {path}"), re.M)
    shown, parents = {}, []
    for indent, name, value in lines:
        parents = [*parents[:len(indent)], name]
        shown["/".join(parents)] = value
    known = {node: value for node, value in nodes.items() if node == path or node.startswith(path + "/")}
    gdb.same(f"nodes below {path}", shown, known)
    return {node.removeprefix(path + "/"): value for node, value in known.items()}


def check_ports(gdb, machine):
    """Every port's type, vCPU and bits as QMP has them; returns the text."""
    text = gdb.ask("pvblk evtchn")
    shown = re.findall(r"^port +(\d+): vcpu: (\d+) (\w+)\S*; (?:pending (\d) masked (\d)|of|the)", text, re.M)
    known = [(str(port["port"]), str(port["vcpu"]), port["type"]) for port in machine.qmp("xen-event-list")]
    gdb.same("ports", [line[:3] for line in shown], known)
    bits = {int(line[0]): line[3:] for line in shown if line[3]}
    for port in machine.qmp("xen-event-list"):
        if port["port"] in bits:
            gdb.same(f"bits of port {port['port']}", bits[port["port"]],
                     (str(int(port["pending"])), str(int(port["masked"]))))
    return text


def check_untouched(gdb):
    """Afterwards gdb's addresses are the guest's virtual ones, as before."""
    gdb.find(r'received: "(0)"', "maintenance packet qqemu.PhyMemMode")


# ---- a frontend of the guest's --------------------------------------------------------------------------------------

@pytest.mark.claim("gdb/own", "gdb shows mini-blkfront's ring, grants, ports and nodes as the guest knows them")
@pytest.mark.needs("freestanding")
def test_own(name):
    """mini-blkfront is stopped where a request leaves and where its response arrives."""
    program = freestanding.build("mini-blkfront")
    disk = images.raw(images.folder(name) / "own.raw", 16 * images.MIB)
    words = [*xenguest.ACCEL, "-m", "64", "-S", *STUB, "-kernel", program,
             "-blockdev", f"driver=file,node-name=own-file,filename={guest.escaped(disk)}",
             "-blockdev", "driver=raw,node-name=own,file=own-file", "-device", "xen-disk,drive=own,vdev=xvda"]
    with guest.Guest(name, words) as machine:
        with Gdb(machine, program) as gdb:
            _before_connecting(gdb)
            _request_leaves(gdb, machine)
            for abi in REQUESTS:
                _hostile_rings(gdb, abi)
            _response_arrives(gdb, machine)
            check_untouched(gdb)
            gdb.ask("delete")
            gdb.ask("detach")
        machine.wait_for("finished", 60)
        machine.wait_end()


def _before_connecting(gdb):
    """Each command says what is not there yet."""
    gdb.find(f"^pvblk: no ring-ref for vbd {OWN_VBD}: the frontend has not connected yet", "pvblk ring")
    gdb.find("^(the guest has no shared info page)", "pvblk evtchn")
    gdb.find("^port +1: .*; (the guest has no bits for it)$", "pvblk evtchn")
    gdb.find("^pvblk: XenStore has no vbd 5$", "pvblk ring 5")
    gdb.find("^pvblk: there is no RAM at guest-physical 0xfee00000", "pvblk ring -gfn 0xfee00")
    gdb.find("^pvblk: XenStore has no /nowhere", "pvblk store /nowhere")


def _request_leaves(gdb, machine):
    """The first request is in the ring, and the backend does not know of it yet."""
    gdb.ask("break Blkfront::publish")
    gdb.find(r"(Breakpoint) 1, Blkfront::publish", "continue")
    this, ring_ref, port = gdb.numbers("this", "this->ring_grant_", "this->port_")
    request = f"((Blkfront *){this})->request_[0]"
    refs = gdb.numbers(*(f"{request}.grant[{i}]" for i in range(11)))
    ring, written = gdb.numbers("&" + anonymous("ring_page"), "&" + anonymous("written"))
    gdb.ask("tbreak Events::notify")
    gdb.find("(Temporary) breakpoint 2, Events::notify", "continue")

    text = gdb.ask(f"pvblk ring {OWN_VBD}")
    _find(gdb, text, f"guest's own: frontend Connected, backend Connected; event channel {port}$")
    _find(gdb, text, rf"grant reference {ring_ref}, frame {ring // PAGE:#x}; ABI x86_64 \(protocol node\)$")
    _find(gdb, text, "req_prod 1 req_event 1 rsp_prod 0 rsp_event 1: 1 unanswered of 32 slots$")
    _find(gdb, text, "request 0 in slot 0: WRITE id 0x0 handle 51712 sector 0 segments 11$")
    for number, ref in enumerate(refs):
        frame = written // PAGE + number
        _find(gdb, text, rf"segment {number}: reference {ref} sectors 0 to 7 \(frame {frame:#x}\)$")
    _own_grants(gdb, ring_ref, ring, refs, written)
    nodes = check_store(gdb, machine, f"/local/domain/1/device/vbd/{OWN_VBD}")
    gdb.same("nodes of the frontend", (nodes["ring-ref"], nodes["event-channel"], nodes["protocol"]),
             (str(ring_ref), str(port), "x86_64-abi"))


def _find(gdb, text, pattern):
    if not re.search(pattern, text, re.M):
        raise gdb.problem(f"there is no {pattern!r} in what was shown")


def _own_grants(gdb, ring_ref, ring, refs, written):
    """The backend has mapped the ring, and may only read what is to be written to the disk."""
    text = gdb.ask("pvblk grants")
    shown = dict(re.findall(r"^ *(\d+)  guest +(to domain 0 .*)$", text, re.M))
    known = {str(ring_ref): f"to domain 0 frame {ring // PAGE:#x} permit_access reading writing"}
    for number, ref in enumerate(refs):
        known[str(ref)] = f"to domain 0 frame {written // PAGE + number:#x} permit_access readonly"
    shown = {ref: re.sub(" +", " ", line) for ref, line in shown.items()}
    shown.pop("1")  # GNTTAB_RESERVED_XENSTORE
    gdb.same("grants", shown, known)
    gdb.find(f"^ *{ring_ref}  guest ", f"pvblk grants {ring_ref}")
    gdb.find("^ *(500)  not granted$", "pvblk grants 500")


def _response_arrives(gdb, machine):
    """The event is pending, the handler has not run; then the ring has the response."""
    gdb.ask("delete")
    gdb.ask("tbreak Events::collect")
    gdb.find("(Temporary) breakpoint 3, Events::collect", "continue")
    (shared,) = gdb.numbers("&" + anonymous("shared_info_page"))
    selector, pending = gdb.numbers(f"*(unsigned long *)({shared} + 8)", f"*(unsigned long *)({shared} + 2048)")
    text = check_ports(gdb, machine)
    _find(gdb, text, f"^shared info at {shared:#x}, 64-bit layout$")
    _find(gdb, text, f"^vcpu 0: vcpu_info at {shared:#x}, upcall_pending 1 upcall_mask 0 pending_sel {selector:#x}$")
    shown = sum(1 << int(port) for port in re.findall(r"^port +(\d+): .* pending 1", text, re.M))
    gdb.same("pending ports", shown, pending)
    gdb.same("ports of a bit in the selector", bool(pending), bool(selector & 1))

    gdb.ask("tbreak Blkfront::answered")
    gdb.find("(Temporary) breakpoint 4, Blkfront::answered", "continue")
    ident, after = gdb.numbers("response.id", "this->rsp_cons_")
    gdb.find(rf"response {after - 1} in slot {after - 1}: WRITE id {ident:#x} status 0 (OKAY) \(over a request at "
             rf"sector {(after - 1) * 11 * 8}\)$", "pvblk ring -all")


# ---- rings that no honest frontend makes ----------------------------------------------------------------------------

# struct blkif_x86_32_request and _64_request: what stands before the segments, and the size of all.
REQUESTS = {"x86_32": ("<BBHQQ", 108), "x86_64": ("<BBH4xQQ", 112)}


def _request(abi, operation, segments, ident, sector, pieces):
    """A segment is (reference, first, last)."""
    packed = struct.pack(REQUESTS[abi][0], operation, segments, 7, ident, sector)
    return packed + b"".join(struct.pack("<IBBH", *piece, 0) for piece in pieces)


def _ring(abi, req_prod, rsp_prod, requests):
    page = bytearray(PAGE)
    struct.pack_into("<4I", page, 0, req_prod, 1, rsp_prod, 1)
    for index, request in requests.items():
        at = 64 + index % 32 * REQUESTS[abi][1]
        page[at:at + len(request)] = request
    return bytes(page)


def _hostile_rings(gdb, abi):
    """In a page of the guest's that it does not use yet: nonsense that has to be called so."""
    top = 2**32 - 1
    pieces = [(0xffffffff, 6, 5), (1, 0, 200)]
    wrapped = _ring(abi, 2, top, {top: _request(abi, 0, 2, 0x1122334455667788, 2**40, pieces),
                                  0: _request(abi, 200, 255, 1, 2, []),
                                  1: _request(abi, 5, 1, 3, 4, []) + struct.pack("<Q", 2**63)})
    text = _show(gdb, wrapped, abi)
    for pattern in (r"req_prod 2 req_event 1 rsp_prod 4294967295 rsp_event 1: 3 unanswered of 32 slots$",
                    rf"request {top} in slot 31: READ id 0x1122334455667788 handle 7 sector {2**40} segments 2$",
                    r"segment 0: reference 4294967295 sectors 6 to 5, which is no part of a page \(not granted\)$",
                    r"segment 1: reference 1 sectors 0 to 200, which is no part of a page \(frame 0xfeff9\)$",
                    r"request 0 in slot 0: unknown operation 200 id 0x1$",
                    rf"request 1 in slot 1: DISCARD id 0x3 handle 7 sector 4 sectors {2**63} secure$"):
        _find(gdb, text, pattern)
    text = _show(gdb, _ring(abi, 2**31, 5, {8: _request(abi, 1, 255, 3, 4, [(9, 0, 7)] * 11)}), abi)
    _find(gdb, text, "more requests than slots: the indices are wrong")
    _find(gdb, text, r"in slot 8: WRITE id 0x3 handle 7 sector 4 segments 255, of which a request holds 11$")
    gdb.same("requests where the indices are wrong", len(re.findall("^  request ", text, re.M)), 32)
    gdb.same("segments of a request with 255", len(re.findall("^    segment .*reference 9 ", text, re.M)), 11)
    _find(gdb, text, "    segment 10: ")
    if "segment 11:" in text:
        raise gdb.problem("a segment beyond the request's end is shown")


def _show(gdb, page, abi):
    (address,) = gdb.numbers("&" + anonymous("read_back"))
    with tempfile.NamedTemporaryFile(prefix="pvblk-") as file:
        file.write(page)
        file.flush()
        gdb.ask(f"restore {file.name} binary {address:#x}")
    return gdb.ask(f"pvblk ring -abi {abi} -gfn {address // PAGE:#x}")


# ---- a frontend that QEMU hosts -------------------------------------------------------------------------------------

@pytest.mark.claim("gdb/hosted", "gdb shows the hosted frontend after SeaBIOS has booted from its disk")
def test_hosted(name):
    """SeaBIOS and the boot sector have read and written through virtio-blk; the guest knows nothing of Xen."""
    folder = images.folder(name)
    disk = bootdisk.make(folder / "ours.raw", bootdisk.assemble(folder), os.urandom(bootdisk.DATA_BYTES))
    words = ["-machine", "pc,xen-emu=on", "-accel", "tcg", "-m", "64", *STUB,
             "-blockdev", f"driver=file,node-name=ours-file,filename={guest.escaped(disk)}",
             "-blockdev", "driver=raw,node-name=ours,file=ours-file",
             "-device", "xen-pvblk-pci,id=ours,drive=ours,bootindex=1"]
    with guest.Guest(name, words) as machine:
        machine.wait_for("booted", 120)
        with Gdb(machine) as gdb:
            check_hosted(gdb, machine, "ours", "WRITE", bootdisk.RESULT_OFFSET // 512)
            _find(gdb, check_ports(gdb, machine), "^the guest has no shared info page")
            check_untouched(gdb)
        machine.qmp("quit")
        machine.wait_end()


def check_hosted(gdb, machine, device, operation, sector):
    """The hosted frontend's ring, its device's grant and port; `operation` at `sector` is among its last requests."""
    path = f"/machine/peripheral/{device}"
    frontend = machine.qmp("qom-get", path=path, property="ring")["frontend"]
    counters = machine.qmp("qom-get", path=path, property="counters")
    plan = machine.qmp("qom-get", path=path, property="plan")
    slots = plan["ring-entries"]
    nodes = check_store(gdb, machine, frontend)
    gdb.same("pages of the ring", plan["ring-pages"], len([node for node in nodes if node.startswith("ring-ref")]))
    number = frontend.rpartition("/")[2]
    total = sum(counters[f"ring-{kind}"] for kind in ("reads", "writes", "flushes", "discards"))
    gdb.same("responses of the device", counters["responses"], total)

    text = gdb.ask(f"pvblk ring {number}")
    _find(gdb, text, f"vbd {number}, hosted by QEMU: frontend Connected, backend Connected; "
          f"event channel {nodes['event-channel']}$")
    for page in range(plan["ring-pages"]):
        _find(gdb, text, f"grant reference {nodes[f'ring-ref{page}']}, private page at 0x[0-9a-f]+ of {path}; ABI x86_64 ")
    _find(gdb, text, rf"req_prod {total} req_event \d+ rsp_prod {total} rsp_event \d+: 0 unanswered of {slots} slots$")
    _find(gdb, text, rf"response {total - 1} in slot {(total - 1) % slots}: \w+ id 0x[0-9a-f]+ status 0 OKAY ")
    _find(gdb, text, rf"{operation} id 0x[0-9a-f]+ status 0 OKAY \(over a request at sector {sector}\)$")
    first = nodes["ring-ref0"]
    gdb.find(f"^ *{first}  device +to domain 0  (private page) at 0x[0-9a-f]+ +permit_access reading writing$",
             f"pvblk grants {first}")
    gdb.find(f"^port {nodes['event-channel']}: .*; of {path}, the guest has no bits for it$", "pvblk evtchn")


# ---- Linux: virtual addresses are no physical ones, and a 32-bit one has its own layouts -----------------------------

@pytest.mark.claim("gdb/linux-{which.name}", "gdb in {which.title}: both frontends, by virtual addresses, on two vCPUs")
@pytest.mark.needs("guest-kernels")
@pytest.mark.parametrize("which", [kernel.CLOUD, kernel.DEBIAN12_PAE], ids=lambda which: which.name)
def test_linux(name, which):
    """Linux's xen-blkfront and a hosted disk side by side; the kernel decides the layouts."""
    folder = images.folder(name)
    image = initramfs.linux("gdb.sh", xenguest.MODULES, kernel=which, fio=False)
    image.write(folder / "initrd")
    with guest.Guest(name, [*xenguest.arguments(folder, which, 2), *STUB]) as machine:
        bits = machine.wait_for("ready", 90)
        with Gdb(machine) as gdb:
            _linux_ring(gdb, machine, bits)
            check_hosted(gdb, machine, "hosted", "READ", 3 * 8)
            text = check_ports(gdb, machine)
            _find(gdb, text, f"^shared info at 0x[0-9a-f]+, {bits}-bit layout$")
            _selector(gdb, 8 if bits == "64" else 4)
            check_untouched(gdb)
            gdb.ask("detach")
        machine.tell("end")
        machine.wait_end()


def _selector(gdb, offset):
    """A value of our own in the second vCPU's pending_sel, while the guest stands still and gdb is in physical mode."""
    (address,) = gdb.find(r"^vcpu 1: vcpu_info at (0x[0-9a-f]+), upcall_pending 0 .* pending_sel 0x0$", "pvblk evtchn")
    word = f"{{unsigned int}}{address + offset:#x}"
    gdb.ask("maintenance packet Qqemu.PhyMemMode:1")
    gdb.ask(f"set var {word} = 0x12345")
    gdb.find("^vcpu 1: .* pending_sel (0x12345)$", "pvblk evtchn")
    gdb.find(r'received: "(1)"', "maintenance packet qqemu.PhyMemMode")
    gdb.ask(f"set var {word} = 0")
    gdb.ask("maintenance packet Qqemu.PhyMemMode:0")


def _linux_ring(gdb, machine, bits):
    nodes = check_store(gdb, machine, f"/local/domain/1/device/vbd/{OWN_VBD}")
    abi = {"64": "x86_64", "32": "x86_32"}[bits]
    gdb.same("protocol node", nodes["protocol"], f"{abi}-abi")
    text = gdb.ask(f"pvblk ring {OWN_VBD}")
    _find(gdb, text, rf"grant reference {nodes['ring-ref']}, frame 0x[0-9a-f]+; ABI {abi} \(protocol node\)$")
    indices = re.search(r"req_prod (\d+) .* rsp_prod (\d+) .*: 0 unanswered of 32 slots$", text, re.M)
    if not indices:
        raise gdb.problem("the ring of an idle disk has unanswered requests")
    gdb.same("the ring's indices", *indices.groups())
    last = int(indices[1]) - 1
    _find(gdb, text, rf"response {last} in slot {last % 32}: READ id 0x[0-9a-f]+ status 0 OKAY "
          r"\(over a request at sector 40\)$")
