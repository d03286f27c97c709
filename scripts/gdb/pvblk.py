# SPDX-License-Identifier: MIT
"""GDB commands that show the Xen side of a guest: ring, grants, event channels, XenStore. See docs/debugging.rst.

    (gdb) target remote :1234
    (gdb) source scripts/gdb/pvblk.py
    (gdb) pvblk ring

For gdb attached to the gdbstub of a QEMU that emulates Xen. What the guest shares (ring, shared info, vcpu_info) is
read from guest-physical memory; what only the emulation knows comes from its objects, by the monitor's qom-get.
Nothing is written. All that a guest can have put there is taken as hostile: numbers are checked before they are used,
loops end, and only RAM is read, never a device's registers.
"""

import json
import re
import struct
from contextlib import contextmanager

import gdb

PAGE = 4096
DOMAINS = "/local/domain"
# More lines than that help nobody, and a guest decides how many there are.
MOST_LINES = 400
MOST_RING_PAGES = 16
MOST_QUEUES = 64


def problem(text):
    """An exception of which gdb shows the sentence alone."""
    return gdb.GdbError(f"pvblk: {text}")


# ---- QEMU, by the stub ----------------------------------------------------------------------------------------------

def monitor(command):
    """What QEMU's human monitor answers."""
    try:
        return gdb.execute(f"monitor {command}", to_string=True)
    except gdb.error as error:
        raise problem(f"{error} (gdb has to be attached to QEMU's gdbstub: target remote :1234)") from None


def qom_get(path, name):
    """A property of one of QEMU's objects."""
    answer = monitor(f"qom-get {path} {name}")
    try:
        return json.loads(answer)
    except ValueError:
        raise problem(f"QEMU does not show {name} of {path}: {answer.strip()[:200]}") from None


def qom_children(path, type_pattern):
    """Paths of the children of a type."""
    found = re.findall(r"^(\S+) \(child<(.+)>\)\s*$", monitor(f"qom-list {path}"), re.M)
    return sorted(f"{path}/{name}" for name, kind in found if re.fullmatch(type_pattern, kind))


def emulation(kind, name):
    """A text of a device of the Xen emulation, of which there is one each."""
    paths = qom_children("/machine/unattached", kind)
    if not paths:
        raise problem(f"there is no {kind}: this machine does not emulate Xen "
                      "(-accel tcg,xen-version=0x40011 or -machine pc,xen-emu=on)")
    return qom_get(paths[0], name)


@contextmanager
def physical_memory():
    """In this block gdb's addresses are guest-physical; afterwards they are what they were before."""
    connection = gdb.selected_inferior().connection
    if not hasattr(connection, "send_packet"):
        raise problem("gdb is not attached to QEMU's gdbstub: target remote :1234")
    before = connection.send_packet("qqemu.PhyMemMode")
    if before not in (b"0", b"1"):
        raise problem("the remote target is not QEMU with a whole machine: it has no physical memory mode")
    try:
        connection.send_packet("Qqemu.PhyMemMode:1")
        yield
    finally:
        connection.send_packet(b"Qqemu.PhyMemMode:" + before)


def read_physical(address, size):
    """Bytes of the guest's RAM; a range that does not cross a page. Anything but RAM is refused: reading it may act."""
    answer = monitor(f"gpa2hva {address:#x}")
    if not answer.startswith("Host virtual address"):
        raise problem(f"there is no RAM at guest-physical {address:#x}")
    try:
        with physical_memory():
            return bytes(gdb.selected_inferior().read_memory(address, size))
    except gdb.error as error:
        raise problem(f"cannot read guest-physical {address:#x}: {error}") from None


# ---- XenStore -------------------------------------------------------------------------------------------------------

class Store:
    """All nodes, as they were when the command began."""

    def __init__(self):
        self.nodes = dict(re.findall(r'^(\S+) = "(.*)"$', emulation("xen-xenstore", "nodes"), re.M))

    def read(self, path):
        return self.nodes.get(path)

    def number(self, path, most=2**32 - 1):
        """A decimal number, None if there is no such node."""
        text = self.read(path)
        if text is None:
            return None
        if not re.fullmatch(r"[0-9]{1,10}", text) or int(text) > most:
            raise problem(f'{path} is "{text[:64]}": not a number from 0 to {most}')
        return int(text)

    def children(self, path):
        start = "/" if path == "/" else path + "/"
        names = {node[len(start):].split("/")[0] for node in self.nodes if node.startswith(start)}
        return sorted(names - {""}, key=lambda name: (not name.isdecimal(), name.isdecimal() and int(name), name))

    def tree(self, path, depth=0):
        """Lines for a node and all below it, without recursion: a guest chooses the depth."""
        todo = [(path, path, depth)]
        while todo:
            node, name, depth = todo.pop()
            yield f'{" " * min(depth, 40)}{name} = "{self.nodes.get(node, "")}"'
            below = "" if node == "/" else node
            todo += [(f"{below}/{child}", child, depth + 1) for child in reversed(self.children(node))]


XENBUS_STATES = ("Unknown", "Initialising", "InitWait", "Initialised", "Connected", "Closing", "Closed",
                 "Reconfiguring", "Reconfigured")


def state_name(text):
    if text is None:
        return "none"
    if re.fullmatch("[0-8]", text):
        return XENBUS_STATES[int(text)]
    return f'"{text[:32]}", which is no state'


class Vbd:
    """A frontend's directory: device/vbd/N is where a guest has its disks, xen-pvblk/vbd/N where QEMU hosts them."""

    def __init__(self, store, path):
        self.store = store
        self.path = path
        self.number = path.rpartition("/")[2]

    def node(self, name):
        return self.store.read(f"{self.path}/{name}")

    def node_number(self, name, most=2**32 - 1):
        return self.store.number(f"{self.path}/{name}", most)

    def queues(self):
        """Where the nodes of each ring are: here, or below queue-N/ where there are several."""
        queues = self.node_number("multi-queue-num-queues", MOST_QUEUES) or 1
        return [""] if queues == 1 else [f"queue-{queue}/" for queue in range(queues)]

    def references(self, queue):
        """Grant references of the pages of a queue's ring."""
        if self.node("ring-page-order") is not None and self.node(queue + "ring-ref") is None:
            pages = 1 << self.node_number("ring-page-order", MOST_RING_PAGES.bit_length() - 1)
            references = [self.node_number(f"{queue}ring-ref{page}") for page in range(pages)]
        else:
            references = [self.node_number(queue + "ring-ref")]
        if None in references:
            raise problem(f"no ring-ref for vbd {self.number}: the frontend has not connected yet")
        return references

    def abi(self):
        """Name of the ABI, and why it is that one."""
        protocol = self.node("protocol")
        if protocol is None:
            return "x86_64", "no protocol node: the backend's own"
        for name in ABIS:
            if protocol == f"{name}-abi":
                return name, "protocol node"
        return "x86_64", f'protocol "{protocol[:32]}" is unknown, which QEMU takes for its own'

    def states(self):
        backend = self.node("backend")
        theirs = self.store.read(f"{backend}/state") if backend else None
        return f"frontend {state_name(self.node('state'))}, backend {state_name(theirs)}"


def all_vbds(store):
    found = []
    for domain in store.children(DOMAINS):
        for kind in ("device", "xen-pvblk"):
            folder = f"{DOMAINS}/{domain}/{kind}/vbd"
            found += [Vbd(store, f"{folder}/{name}") for name in store.children(folder)]
    return found


def hosted_rings():
    """Frontend path of each xen-pvblk device → its QOM path, and where its ring pages are → their content."""
    rings = {}
    for folder in ("/machine/peripheral", "/machine/peripheral-anon"):
        for path in qom_children(folder, "xen-pvblk-(pci.*|device)"):
            ring = qom_get(path, "ring")
            pages = re.findall(r"^(0x[0-9a-f]+): ([0-9a-f]*)$", ring["pages"], re.M)
            rings[ring["frontend"]] = (path, {int(offset, 16): bytes.fromhex(page) for offset, page in pages})
    return rings


# ---- grants ---------------------------------------------------------------------------------------------------------

GRANT_TYPES = ("invalid", "permit_access", "accept_transfer", "transitive")
GRANT_FLAGS = {1 << 2: "readonly", 1 << 3: "reading", 1 << 4: "writing", 1 << 8: "sub_page"}


class Grant:
    """An entry of version 1: the guest's, or behind those one that a device in QEMU owns."""

    LINE = re.compile(r"^(\d+): (guest|device) flags (0x[0-9a-f]+) domid (\d+) (frame|offset) (0x[0-9a-f]+)$", re.M)

    def __init__(self, ref, owner, flags, domid, kind, place):
        self.ref = int(ref)
        self.owner = owner
        self.flags = int(flags, 16)
        self.domid = int(domid)
        self.frame = int(place, 16) if kind == "frame" else None
        self.offset = int(place, 16)

    def place(self):
        if self.frame is None:
            return f"private page at {self.offset:#x}"
        return f"frame {self.frame:#x}"

    def flag_names(self):
        names = [GRANT_TYPES[self.flags & 3]]
        return names + [name for bit, name in GRANT_FLAGS.items() if self.flags & bit]

    def line(self):
        return (f"{self.ref:9}  {self.owner:6}  to domain {self.domid}  {self.place():24}  "
                + " ".join(self.flag_names()))


def grant_table():
    """Reference → entry in use."""
    grants = [Grant(*fields) for fields in Grant.LINE.findall(emulation("xen-gnttab", "grants"))]
    return {grant.ref: grant for grant in grants}


# ---- the ring -------------------------------------------------------------------------------------------------------

class Abi:
    """Where the fields of blkif.h are. In all of them the ring's indices fill 64 bytes, then come the slots."""

    def __init__(self, size, id_at, sector_at, segments_at):
        self.size = size
        self.id_at = id_at
        self.sector_at = sector_at
        self.segments_at = segments_at


ABIS = {"x86_64": Abi(112, 8, 16, 24), "x86_32": Abi(108, 4, 12, 20)}
HEADER = 64
MOST_SEGMENTS = 11
OPERATIONS = ("READ", "WRITE", "WRITE_BARRIER", "FLUSH_DISKCACHE", "RESERVED_1", "DISCARD", "INDIRECT")
STATUSES = {0: "OKAY", -1: "ERROR", -2: "EOPNOTSUPP"}


def operation_name(number):
    return OPERATIONS[number] if number < len(OPERATIONS) else f"unknown operation {number}"


def distance(ahead, behind):
    """Indices run freely and wrap: only their difference means something."""
    return (ahead - behind) % 2**32


class Ring:
    """The shared pages, copied once."""

    def __init__(self, data, abi):
        self.data = data
        self.abi = ABIS[abi]
        self.req_prod, self.req_event, self.rsp_prod, self.rsp_event = struct.unpack_from("<4I", data)
        room = (len(data) - HEADER) // self.abi.size
        self.slots = 1 << (room.bit_length() - 1)

    def unanswered(self):
        return distance(self.req_prod, self.rsp_prod)

    def _field(self, form, index, offset):
        return struct.unpack_from("<" + form, self.data, HEADER + index % self.slots * self.abi.size + offset)

    def request(self, index, grants):
        """Lines for a request, and one for each segment."""
        operation, count, handle = self._field("BBH", index, 0)
        (ident,) = self._field("Q", index, self.abi.id_at)
        (sector,) = self._field("Q", index, self.abi.sector_at)
        head = f"request {index} in slot {index % self.slots}: {operation_name(operation)} id {ident:#x}"
        if operation == 5:
            (sectors,) = self._field("Q", index, self.abi.segments_at)
            return [f"{head} handle {handle} sector {sector} sectors {sectors}" + (" secure" if count & 1 else "")]
        if operation > 3:
            return [head]
        lines = [f"{head} handle {handle} sector {sector} segments {count}"
                 + (f", of which a request holds {MOST_SEGMENTS}" if count > MOST_SEGMENTS else "")]
        return lines + [self._segment(index, number, grants) for number in range(min(count, MOST_SEGMENTS))]

    def _segment(self, index, number, grants):
        ref, first, last = self._field("IBB", index, self.abi.segments_at + 8 * number)
        text = f"  segment {number}: reference {ref} sectors {first} to {last}"
        if last > 7 or first > last:
            text += ", which is no part of a page"
        grant = grants.get(ref)
        return text + (f" ({grant.place()})" if grant else " (not granted)")

    def response(self, index):
        """A response lies over a request, the rest of which stays; over its own only where the order is the same."""
        ident, operation = self._field("QB", index, 0)
        (status,) = self._field("h", index, 10)
        (sector,) = self._field("Q", index, self.abi.sector_at)
        name = STATUSES.get(status, "no status of blkif.h")
        return (f"response {index} in slot {index % self.slots}: {operation_name(operation)} id {ident:#x} "
                f"status {status} {name} (over a request at sector {sector})")

    def lines(self, grants, most_responses):
        yield (f"req_prod {self.req_prod} req_event {self.req_event} rsp_prod {self.rsp_prod} "
               f"rsp_event {self.rsp_event}: {self.unanswered()} unanswered of {self.slots} slots")
        requests = self.unanswered()
        if requests > self.slots:
            yield "more requests than slots: the indices are wrong. What the slots hold, read as requests:"
            requests = self.slots
        responses = min(self.slots - requests, self.rsp_prod, most_responses)
        for back in range(responses, 0, -1):
            yield self.response((self.rsp_prod - back) % 2**32)
        for back in range(requests, 0, -1):
            yield from self.request((self.req_prod - back) % 2**32, grants)


def page_of(ref, grants, vbd, hosted):
    """Content of the page that a reference names, and what it is."""
    grant = grants.get(ref)
    if not grant:
        raise problem(f"vbd {vbd.number}: grant reference {ref}, which is to be the ring, is not granted")
    if grant.frame is not None:
        return read_physical(grant.frame * PAGE, PAGE), grant.place()
    if vbd.path not in hosted:
        raise problem(f"vbd {vbd.number}: grant reference {ref} names a private page of a device that is not there")
    path, pages = hosted[vbd.path]
    page = pages.get(grant.offset, b"")
    if len(page) != PAGE:
        raise problem(f"vbd {vbd.number}: {path} has no ring at the moment")
    return page, f"{grant.place()} of {path}"


def vbd_lines(vbd, grants, hosted, abi, most_responses):
    queues = vbd.queues()
    owner = "hosted by QEMU" if vbd.path in hosted else "the guest's own"
    for queue in queues:
        lines = ring_lines(vbd, queue, grants, hosted, abi, most_responses)
        first = next(lines)
        channel = (vbd.node(queue + "event-channel") or "none")[:32]
        of_queue = f", {queue[:-1]}" if queue else ""
        yield f"vbd {vbd.number}, {owner}{of_queue}: {vbd.states()}; event channel {channel}"
        yield first
        yield from lines


def ring_lines(vbd, queue, grants, hosted, abi, most_responses):
    references = vbd.references(queue)
    pages = [page_of(ref, grants, vbd, hosted) for ref in references]
    chosen, why = (abi, "as you say") if abi else vbd.abi()
    for ref, (_, place) in zip(references, pages):
        yield f"  ring: grant reference {ref}, {place}; ABI {chosen} ({why})"
    ring = Ring(b"".join(content for content, _ in pages), chosen)
    for line in ring.lines(grants, most_responses):
        yield "  " + line


# ---- event channels -------------------------------------------------------------------------------------------------

class SharedInfo:
    """The guest's bits: 4096 of each kind in the 64-bit layout, 1024 in the 32-bit one; vcpu_info[32] is before."""

    BITS_AT = 2048

    def __init__(self):
        text = emulation("xen-overlay", "shared-info")
        self.long_mode = "layout: 64-bit" in text
        self.address, *self.vcpus = [None if gpa == "none" else int(gpa, 16)
                                     for gpa in re.findall(r"_info: (none|0x[0-9a-f]+)$", text, re.M)]
        self.ports = self.pending = self.masked = 0
        if self.address is not None:
            self._read_bits(read_physical(self.address, PAGE))

    def _read_bits(self, data):
        self.ports = 4096 if self.long_mode else 1024
        size = self.ports // 8
        self.pending = int.from_bytes(data[self.BITS_AT:self.BITS_AT + size], "little")
        self.masked = int.from_bytes(data[self.BITS_AT + size:self.BITS_AT + 2 * size], "little")

    def bits(self, port):
        return self.pending >> port & 1, self.masked >> port & 1

    def lines(self):
        if self.address is None:
            yield "the guest has no shared info page: it does not use Xen"
            return
        yield f"shared info at {self.address:#x}, {64 if self.long_mode else 32}-bit layout"
        for vcpu, address in enumerate(self.vcpus):
            yield f"vcpu {vcpu}: " + ("has no vcpu_info" if address is None else self._vcpu(address))

    def _vcpu(self, address):
        form = "<BB6xQ" if self.long_mode else "<BB2xI"
        pending, mask, selector = struct.unpack(form, read_physical(address, struct.calcsize(form)))
        return f"vcpu_info at {address:#x}, upcall_pending {pending} upcall_mask {mask} pending_sel {selector:#x}"


def port_line(port, text, info, owner):
    if owner:
        return f"port {port:4}: {text}; of {owner}, the guest has no bits for it"
    if port >= info.ports:
        return f"port {port:4}: {text}; the guest has no bits for it"
    pending, masked = info.bits(port)
    return f"port {port:4}: {text}; pending {pending} masked {masked}"


def known_ports():
    """What the emulation says of each port: number → vCPU, type and target."""
    ports = {}
    for port, text in re.findall(r"^port +(\d+): (.*)$", monitor("xen-event-list"), re.M):
        ports[int(port)] = text.strip().replace(" PENDING", "").replace(" MASKED", "")
    return ports


def device_ports(store):
    """Ports of the hosted frontends: number, as their nodes have it, → whose."""
    hosted = hosted_rings()
    return {store.read(f"{path}/event-channel"): device for path, (device, _) in hosted.items()}


def evtchn_lines():
    info = SharedInfo()
    yield from info.lines()
    ports = known_ports()
    owners = device_ports(Store())
    for port, text in sorted(ports.items()):
        yield port_line(port, text, info, owners.get(str(port)))
    stray = [port for port in range(info.ports) if info.bits(port)[0] and port not in ports]
    if stray:
        yield f"pending, but closed: {len(stray)} ports: " + " ".join(map(str, stray[:16]))


# ---- commands -------------------------------------------------------------------------------------------------------

def show(lines):
    count = 0
    for line in lines:
        count += 1
        if count > MOST_LINES:
            print(f"... and more: {MOST_LINES} lines are shown")
            return
        print(line)


def number(expression):
    """A number, or what an expression of gdb's, with the program's symbols, comes to."""
    try:
        return int(gdb.parse_and_eval(expression))
    except (gdb.error, ValueError) as error:
        raise problem(f"{expression} is no number: {error}") from None


def option(words, name):
    """Takes `name VALUE` out of the words; None if it is not among them."""
    if name not in words:
        return None
    at = words.index(name)
    if at + 1 == len(words):
        raise problem(f"{name} needs a value")
    value = words[at + 1]
    del words[at:at + 2]
    return value


class Pvblk(gdb.Command):
    """The Xen side of the guest: ring, grants, event channels, XenStore."""

    def __init__(self):
        super().__init__("pvblk", gdb.COMMAND_DATA, gdb.COMPLETE_NONE, True)


class RingCommand(gdb.Command):
    """Show the blkif ring of a disk: indices, requests that are not answered, the last responses.
Usage: pvblk ring [-all] [-abi x86_64|x86_32] [VBD | -gfn FRAME]

Without VBD, those of all disks, the guest's own and those that QEMU hosts. -all shows all responses that are still
there, not the last four; a backend answers in any order, so the request that a response lies over need not be the
one that it answers. -abi is for a frontend that has not said which ABI it uses, or not the truth. -gfn is for a
ring that is not in XenStore yet: the guest frame number of its only page."""

    def __init__(self):
        super().__init__("pvblk ring", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        words = gdb.string_to_argv(argument)
        abi, gfn = option(words, "-abi"), option(words, "-gfn")
        most = 2**32 if "-all" in words else 4
        words = [word for word in words if word != "-all"]
        if abi not in (None, *ABIS):
            raise problem(f"-abi {abi} is not known; use {' or '.join(ABIS)}")
        if len(words) > 1 or gfn and words:
            raise problem("give one VBD, or -gfn FRAME, or neither")
        if gfn:
            self._frame(number(gfn), abi or "x86_64", most)
        else:
            self._vbds(words, abi, most)

    def _frame(self, gfn, abi, most):
        if not 0 <= gfn < 2**40:
            raise problem(f"{gfn:#x} is no guest frame number")
        ring = Ring(read_physical(gfn * PAGE, PAGE), abi)
        show([f"ring in frame {gfn:#x}; ABI {abi}"] + ["  " + line for line in ring.lines(grant_table(), most)])

    def _vbds(self, words, abi, most):
        vbds = all_vbds(Store())
        if words:
            wanted = str(number(words[0]))
            vbds = [vbd for vbd in vbds if vbd.number == wanted]
        if not vbds:
            raise problem(f"XenStore has no vbd {wanted}" if words else "XenStore has no vbd at all")
        grants, hosted = grant_table(), hosted_rings()
        for vbd in vbds[:MOST_LINES]:
            try:
                show(vbd_lines(vbd, grants, hosted, abi, most))
            except gdb.GdbError as error:
                if len(vbds) == 1:
                    raise
                print(error)


class GrantsCommand(gdb.Command):
    """Show grant table entries that are in use, the guest's and those of devices in QEMU.
Usage: pvblk grants [REFERENCE...]

"to domain 0" is the backend's side. reading, writing: a backend has the page mapped at the moment."""

    def __init__(self):
        super().__init__("pvblk grants", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        grants = grant_table()
        wanted = [number(word) for word in gdb.string_to_argv(argument)] or sorted(grants)
        print("reference  owner")
        show(grants[ref].line() if ref in grants else f"{ref:9}  not granted" for ref in wanted)


class EvtchnCommand(gdb.Command):
    """Show event channels: the guest's bits, and what the emulation knows of each port.
Usage: pvblk evtchn

A port's type and its target are the emulation's; "pending" and "masked" are the guest's bits in the shared info page.
An upcall is due on a vCPU while its upcall_pending is 1; bit N of pending_sel is for ports from N times 64 (32-bit
layout: 32) on."""

    def __init__(self):
        super().__init__("pvblk evtchn", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        show(evtchn_lines())


class StoreCommand(gdb.Command):
    """Show a XenStore node and all below it.
Usage: pvblk store [PATH]

PATH is absolute, "/" if left out. Bytes that cannot be printed are shown as \\xNN."""

    def __init__(self):
        super().__init__("pvblk store", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        words = gdb.string_to_argv(argument) or ["/"]
        path = words[0].rstrip("/") or "/"
        store = Store()
        if len(words) > 1 or not path.startswith("/"):
            raise problem("give one absolute path, as /local/domain/1/device")
        if store.read(path) is None:
            raise problem(f"XenStore has no {path}")
        show(store.tree(path))


for command in (Pvblk, RingCommand, GrantsCommand, EvtchnCommand, StoreCommand):
    command()
