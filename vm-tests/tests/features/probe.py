# Asks the kernel, by trying, what it has of what tsnd uses or could use. Prints JSON: each feature, true or false.
# Runs in a network namespace of its own, in which it makes a pair of devices.
import ctypes, errno, json, mmap, os, socket, struct, subprocess, sys, tempfile, time

libc = ctypes.CDLL(None, use_errno=True)
SYS_BPF = {"x86_64": 321, "aarch64": 280}[os.uname().machine]
MAP_CREATE, MAP_UPDATE_ELEM, PROG_LOAD, OBJ_PIN, LINK_CREATE = 0, 2, 5, 6, 28
DEVMAP, SCHED_CLS, XDP = 14, 3, 6
BPF_XDP, TCX_EGRESS, DRIVER_MODE = 37, 47, 1 << 2
AF_XDP, SOL_XDP = 44, 283
RX_RING, TX_RING, UMEM_REG, FILL_RING, COMPLETION_RING, MAX_TX_SKB_BUDGET = 2, 3, 4, 5, 6, 9
SHARED_UMEM, COPY, TX_METADATA_LENGTH = 1 << 0, 1 << 1, 1 << 2
PGOFF_TX_RING = 0x80000000
SO_TXTIME, CLOCK_TAI = 61, 11
EXIT = (0x95, 0, 0, 0, 0)
has = {}


def checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def bpf(command, attributes):
    return checked(libc.syscall(SYS_BPF, command, ctypes.create_string_buffer(attributes, 128), 128))


def load(kind, attach_type, *instructions):
    """Instructions: code, destination and source register, offset, value."""
    code = b"".join(struct.pack("<BBhi", op, to | of << 4, at, value) for op, to, of, at, value in instructions)
    code, licence = ctypes.create_string_buffer(code), ctypes.create_string_buffer(b"GPL")
    head = struct.pack("=IIQQ", kind, len(instructions), ctypes.addressof(code), ctypes.addressof(licence))
    return bpf(PROG_LOAD, head + struct.pack("=IIQII16sII", 0, 0, 0, 0, 0, b"", 0, attach_type))


def verdict(value):
    return (0xB7, 0, 0, 0, value)


def link(program, device, attach_type, flags=0):
    os.close(bpf(LINK_CREATE, struct.pack("=IIII", program, socket.if_nametoindex(device), attach_type, flags)))


def ask(feature, action):
    try:
        has[feature] = action() is not False
    except OSError as error:
        print(f"{feature}: {error}", file=sys.stderr)
        has[feature] = False


def run(*command):
    subprocess.run(command, check=True)


def devmap():
    devices = bpf(MAP_CREATE, struct.pack("=IIIII", DEVMAP, 4, 4, 1, 0))
    key, value = ctypes.create_string_buffer(4), ctypes.create_string_buffer(struct.pack("=I", socket.if_nametoindex("one")))
    bpf(MAP_UPDATE_ELEM, struct.pack("=I4xQQQ", devices, ctypes.addressof(key), ctypes.addressof(value), 0))


def clock_is_named():
    """A filter drops what says that its launch time is one of CLOCK_TAI (2, at offset 180 of the context)."""
    program = load(SCHED_CLS, 0, (0x71, 0, 1, 180, 0), (0x15, 0, 0, 2, 2), verdict(-1), EXIT, verdict(2), EXIT)
    with tempfile.TemporaryDirectory() as directory:
        run("mount", "-t", "bpf", "bpf", directory)
        try:
            path = os.path.join(directory, "program")
            name = ctypes.create_string_buffer(path.encode())
            bpf(OBJ_PIN, struct.pack("=QI", ctypes.addressof(name), program))
            run("tc", "qdisc", "add", "dev", "one", "clsact")
            run("tc", "filter", "add", "dev", "one", "egress", "bpf", "direct-action", "object-pinned", path)
        finally:
            run("umount", directory)
    sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sender.bind(("one", 0))
    sender.setsockopt(socket.SOL_SOCKET, SO_TXTIME, struct.pack("=II", CLOCK_TAI, 0))
    at = struct.pack("=Q", time.clock_gettime_ns(CLOCK_TAI) + 1_000_000)
    frame = (b"\xff" * 6 + b"\2" + b"\0" * 5 + b"\x88\xb5").ljust(60)
    sender.send(frame)
    try:
        sender.sendmsg([frame], [(socket.SOL_SOCKET, SO_TXTIME, at)])
        return False
    except OSError as error:
        if error.errno != errno.ENOBUFS:
            raise
        return True  # it was dropped


class Xsk:
    """An AF_XDP socket with its rings; without memory of its own it shares another's."""

    def __init__(self):
        self.fd = checked(libc.socket(AF_XDP, socket.SOCK_RAW, 0))
        self.entries = struct.pack("=I", 64)

    def set(self, option, value):
        checked(libc.setsockopt(self.fd, SOL_XDP, option, ctypes.create_string_buffer(value, len(value)), len(value)))

    def register(self, flags=0, metadata_bytes=0):
        self.memory = mmap.mmap(-1, 64 * 2048)
        start = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        self.set(UMEM_REG, struct.pack("=QQIIII", start, len(self.memory), 2048, 0, flags, metadata_bytes))
        return self

    def rings(self):
        for ring in (FILL_RING, COMPLETION_RING, RX_RING, TX_RING):
            self.set(ring, self.entries)
        return self

    def bind(self, device, flags, of=0):
        address = struct.pack("=HHIII", AF_XDP, flags, socket.if_nametoindex(device), 0, of)
        checked(libc.bind(self.fd, ctypes.create_string_buffer(address, 16), 16))
        return self

    def map(self):
        return mmap.mmap(self.fd, 4096, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE, offset=PGOFF_TX_RING)


run("ip", "link", "add", "one", "type", "veth", "peer", "name", "two")
run("ip", "link", "set", "one", "up")
run("ip", "link", "set", "two", "up")

call = lambda helper: (0x85, 0, 0, 0, helper)
ask("tai-in-programs", lambda: load(SCHED_CLS, 0, call(208), verdict(0), EXIT))
ask("native-xdp-link-on-veth", lambda: link(load(XDP, BPF_XDP, verdict(2), EXIT), "one", BPF_XDP, DRIVER_MODE))
ask("devmap-to-veth", devmap)
ask("tcx-link", lambda: link(load(SCHED_CLS, TCX_EGRESS, verdict(-1), EXIT), "one", TCX_EGRESS))
ask("launch-time-clock-named", clock_is_named)

socket_of_one = Xsk().register().rings()
mapped = socket_of_one.map()
socket_of_one.bind("one", COPY)
ask("shared-umem", lambda: Xsk().rings().bind("two", SHARED_UMEM, socket_of_one.fd))
ask("second-mapping-of-bound-ring", socket_of_one.map)
ask("transmit-budget", lambda: socket_of_one.set(MAX_TX_SKB_BUDGET, struct.pack("=I", 64)))
ask("transmit-metadata", lambda: Xsk().register(TX_METADATA_LENGTH, 16))
with open("/sys/kernel/btf/vmlinux", "rb") as types:
    has["transmit-launch-time"] = b"tmo_request_launch_time" in types.read()
print(json.dumps(has))
