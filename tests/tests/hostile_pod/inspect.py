# What root over the host sees of pinned links, and a value of a pinned map, as JSON.
# Arguments: the map, an index into it, and the links.
import ctypes, json, os, struct, sys

libc = ctypes.CDLL(None, use_errno=True)
SYS_BPF = {"x86_64": 321, "aarch64": 280}[os.uname().machine]
MAP_LOOKUP_ELEM, OBJ_GET = 1, 7


def bpf(command, attributes):
    buffer = ctypes.create_string_buffer(attributes, 128)
    result = libc.syscall(SYS_BPF, command, buffer, 128)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def pinned(path):
    name = ctypes.create_string_buffer(path.encode())
    return bpf(OBJ_GET, struct.pack("=QII", ctypes.addressof(name), 0, 0))


def facts(fd):
    with open(f"/proc/self/fdinfo/{fd}") as info:
        return dict(line.strip().split(":\t") for line in info if ":\t" in line)


the_map = pinned(sys.argv[1])
key = ctypes.create_string_buffer(struct.pack("=I", int(sys.argv[2])))
value = ctypes.create_string_buffer(int(facts(the_map)["value_size"]))
bpf(MAP_LOOKUP_ELEM, struct.pack("=I4xQQQ", the_map, ctypes.addressof(key), ctypes.addressof(value), 0))
links = [facts(pinned(path)) for path in sys.argv[3:]]
print(json.dumps({
    "map": int(facts(the_map)["map_id"]),
    "value": value.raw.hex(),
    "links": [[int(link["link_id"]), int(link["prog_id"]), int(link["ifindex"])] for link in links],
}))
