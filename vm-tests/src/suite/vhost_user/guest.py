# The pod's program in the guest: sockets as anywhere, and frames with a stamp as docs/vhost-user.md has it.
import os, socket, struct, subprocess, time

SECRET, ETHERTYPE = 0x123456789ABC, b"\x88\xb6"
OWN, FAR, NEAR = "10.71.0.31", "10.71.0.21", "10.71.0.11"
FAR_MAC, NEAR_MAC = "02:00:00:00:02:01", "02:00:00:00:01:01"
TIMED, UNTIMED, ANSWER = 5001, 5009, 5005
FRAMES = 50


def ip(*words):
    subprocess.run(["ip", *words], check=True)


ip("link", "set", "eth0", "up")
ip("addr", "add", OWN + "/24", "dev", "eth0")
for address, mac in ((FAR, FAR_MAC), (NEAR, NEAR_MAC)):
    ip("neigh", "replace", address, "lladdr", mac, "dev", "eth0", "nud", "permanent")

answers = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
answers.bind((OWN, ANSWER))
answers.settimeout(120)
plain = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for number in range(FRAMES):
    for port in (UNTIMED, TIMED):
        plain.sendto(struct.pack("!I", number), (FAR, port))

# The node's clock is not the guest's; somebody who knows it says when the first frame is to leave.
begin = os.path.join(os.environ["TSN_VM_OUT"], "begin")
while not os.path.exists(begin):
    time.sleep(0.02)
with open(begin) as file:
    first = int(file.read())
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
raw.bind(("eth0", 0))
own_mac = raw.getsockname()[4]
for number in reversed(range(FRAMES)):
    launch = first + number * 2_000_000
    frame = bytes.fromhex(FAR_MAC.replace(":", "")) + own_mac + ETHERTYPE + struct.pack("!Q", launch) + bytes(40)
    raw.send(struct.pack("=6sBBQQ", frame[:6], 2, 0, launch, 0x7473 << 48 | SECRET) + frame)

message, sender = answers.recvfrom(100)
assert (message, sender[0]) == (b"from the pod beside", NEAR), (message, sender)
print("the guest's pod has sent and received")
