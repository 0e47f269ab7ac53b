# Tries to get rid of the kernel programs that tsnd attached to this pod. Says of each attempt how it ended.
# Arguments: numbers of their links, programs and a map, then `--`, then where datagrams are to go: address and port.
import ctypes, json, os, socket, struct, subprocess, sys

libc = ctypes.CDLL(None, use_errno=True)
SYS_BPF = {"x86_64": 321, "aarch64": 280}[os.uname().machine]
PROG_LOAD, PROG_DETACH, PROG_GET_FD, MAP_GET_FD, LINK_CREATE, LINK_GET_FD = 5, 9, 13, 14, 28, 30
SCHED_CLS, XDP, TCX_EGRESS, BPF_XDP, BEFORE = 3, 6, 47, 37, 1 << 3
links, programs, maps = (list(map(int, part.split(","))) for part in sys.argv[1:4])
destination = (sys.argv[4], int(sys.argv[5]))
eth0 = socket.if_nametoindex("eth0")
ended = {}


def bpf(command, attributes):
    buffer = ctypes.create_string_buffer(attributes, 128)
    result = libc.syscall(SYS_BPF, command, buffer, 128)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def attempt(name, action):
    try:
        result = action()
        ended[name] = "done"
        return result
    except OSError as error:
        ended[name] = error.strerror
    except subprocess.CalledProcessError as error:
        ended[name] = error.stderr.decode().strip()


def run(*command):
    subprocess.run(command, check=True, capture_output=True)


def load(kind, attach_type, verdict):
    """A program that says this to every frame."""
    instructions = struct.pack("<BBhi", 0xB7, 0, 0, verdict) + struct.pack("<BBhi", 0x95, 0, 0, 0)
    code, licence = ctypes.create_string_buffer(instructions), ctypes.create_string_buffer(b"GPL")
    head = struct.pack("=IIQQ", kind, 2, ctypes.addressof(code), ctypes.addressof(licence))
    # Then log level, size and buffer, kernel version, flags, name, device, and the type of attachment.
    return bpf(PROG_LOAD, head + struct.pack("=IIQII16sII", 0, 0, 0, 0, 0, b"", 0, attach_type))


def send(count):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for number in range(count):
        s.sendto(b"hostile", destination)


for link in links:
    attempt(f"take link {link} by its number", lambda: bpf(LINK_GET_FD, struct.pack("=I", link)))
for program in programs:
    attempt(f"take program {program} by its number", lambda: bpf(PROG_GET_FD, struct.pack("=I", program)))
for number in maps:
    attempt(f"take map {number} by its number", lambda: bpf(MAP_GET_FD, struct.pack("=I", number)))
attempt("detach what is at tcx egress", lambda: bpf(PROG_DETACH, struct.pack("=III", eth0, 0, TCX_EGRESS)))

own = attempt("load a program of its own", lambda: load(SCHED_CLS, TCX_EGRESS, 0))
if own is not None:
    first = struct.pack("=IIII", own, eth0, TCX_EGRESS, BEFORE)
    before = attempt("be asked before the stamp program", lambda: bpf(LINK_CREATE, first))
    if before is not None:
        send(10)  # not stamped
        os.close(before)
    attempt("replace what is at tcx egress", lambda: bpf(8, struct.pack("=IIIII", eth0, own, TCX_EGRESS, 1 << 2, 0)))
    os.close(own)

attempt("add a clsact qdisc", lambda: run("tc", "qdisc", "add", "dev", "eth0", "clsact"))
attempt("delete all egress filters", lambda: run("tc", "filter", "del", "dev", "eth0", "egress"))
attempt("delete the clsact qdisc", lambda: run("tc", "qdisc", "del", "dev", "eth0", "clsact"))
attempt("replace the root qdisc", lambda: run("tc", "qdisc", "replace", "dev", "eth0", "root", "pfifo"))
attempt("delete the root qdisc", lambda: run("tc", "qdisc", "del", "dev", "eth0", "root"))
for mode in ("xdp", "xdpdrv", "xdpgeneric"):
    attempt(f"{mode} off", lambda: run("ip", "link", "set", "dev", "eth0", mode, "off"))
attempt("rename the interface", lambda: run("ip", "link", "set", "dev", "eth0", "name", "other"))
attempt("rename it back", lambda: run("ip", "link", "set", "dev", "other", "name", "eth0"))
attempt("raise the MTU", lambda: run("ip", "link", "set", "dev", "eth0", "mtu", "9000"))
attempt("the MTU back", lambda: run("ip", "link", "set", "dev", "eth0", "mtu", "1500"))
attempt("offloads off", lambda: run("ethtool", "--offload", "eth0", "tx", "off", "rx", "off", "gro", "off"))
attempt("offloads on", lambda: run("ethtool", "--offload", "eth0", "tx", "on", "rx", "on"))
print(json.dumps(ended))
