# Sends as fast as it can for some time, with all that a socket can ask for: priority 7, DSCP EF, launch times that are
# now, soon, far and past. Says how many datagrams the kernel took.
# Arguments: seconds, address, ports.
import errno, socket, struct, sys, time

SO_TXTIME, SO_SNDBUFFORCE, CLOCK_TAI = 61, 32, 11
end = time.monotonic() + float(sys.argv[1])
destinations = [(sys.argv[2], int(port)) for port in sys.argv[3:]]
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 1 << 24)
s.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, 7)
s.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0xB8)
s.setsockopt(socket.SOL_SOCKET, SO_TXTIME, struct.pack("iI", CLOCK_TAI, 0))
payload, sent = b"flood" * 20, 0
while time.monotonic() < end:
    now = time.clock_gettime_ns(CLOCK_TAI)
    for distance in (None, 0, 1_000_000, 5_000_000_000, -1_000_000_000):
        asked = [] if distance is None else [(socket.SOL_SOCKET, SO_TXTIME, struct.pack("Q", now + distance))]
        for destination in destinations:
            try:
                s.sendmsg([payload], asked, socket.MSG_DONTWAIT, destination)
                sent += 1
            except OSError as error:
                if error.errno not in (errno.ENOBUFS, errno.EAGAIN):
                    raise
print(sent)
