# Listens to its own interface for what tsnd puts in front of its frames, then sends stamps of its own making.
# Arguments: where datagrams are to go: address and port; the frame to put behind a stamp, and another pod's secret, both
# in hexadecimal.
import json, socket, struct, sys

destination, frame, other = (sys.argv[1], int(sys.argv[2])), bytes.fromhex(sys.argv[3]), bytes.fromhex(sys.argv[4])
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
raw.bind(("eth0", 3))
raw.settimeout(5)
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.sendto(b"what is in front of this?", destination)
while True:
    seen = raw.recv(2048)
    if seen.endswith(b"what is in front of this?"):
        break
own = seen[16:24] if seen[22:24] == b"st" else None


def stamped(secret):
    return frame[:6] + bytes([2, 7]) + struct.pack("=Q", 1) + secret + frame


guesses = [struct.pack("=Q", 0x7473 << 48 | guess) for guess in range(50)]
wrong = guesses + [other] * 50
if own:
    wrong += [bytes([own[0] ^ 1]) + own[1:]] * 50
for secret in wrong:
    raw.send(stamped(secret))
if own:
    for _ in range(50):
        raw.send(stamped(own))
print(json.dumps({"own": own.hex() if own else None, "wrong": len(wrong)}))
