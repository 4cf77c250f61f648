"""Listens and asks in network namespaces, by lines of JSON: see network-peer.ts."""

import contextlib
import ctypes
import errno
import json
import socket
import struct
import sys
import threading

output = threading.Lock()
listeners = []
held = []
closed = set()
libc = ctypes.CDLL(None, use_errno=True)
types = {"A": 1, "PTR": 12, "AAAA": 28}
transports = {"echo": "tcp", "names": "udp"}
kinds = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


def answer(number, **words):
    with output:
        print(json.dumps({"number": number, **words}), flush=True)


def address_of(peer):
    return peer[0].removeprefix("::ffff:").encode()


def serve_tcp(server, name):
    while True:
        connection, peer = server.accept()
        # Who has gone again is told nothing.
        with connection, contextlib.suppress(ConnectionError):
            connection.sendall(name + b" " + address_of(peer))


def serve_udp(server, name):
    while True:
        _, peer = server.recvfrom(64)
        server.sendto(name + b" " + address_of(peer), peer)


def serve_echo(server, _name):
    while True:
        connection, _ = server.accept()
        threading.Thread(target=echo, args=(connection,), daemon=True).start()


def echo(connection):
    """Gives everything back, and ends when the other side has."""
    with connection, contextlib.suppress(ConnectionError):
        while data := connection.recv(1 << 16):
            connection.sendall(data)


def serve_names(server, address):
    """Answers every query for an address of IPv4 with this one, and others with nothing."""
    while True:
        query, peer = server.recvfrom(512)
        end = query.index(0, 12) + 5
        is_wanted = query[end - 4 : end - 2] == b"\0\1"
        record = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + socket.inet_aton(address.decode()) if is_wanted else b""
        counts = struct.pack("!HHHH", 1, 1 if is_wanted else 0, 0, 0)
        server.sendto(query[:2] + b"\x81\x80" + counts + query[12:end] + record, peer)


def listen(protocol, port, name, namespace, address="::"):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    server = socket.socket(family, kinds[transports.get(protocol, protocol)])
    if protocol == "tcp" or protocol == "echo":
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    server.bind((address, port))
    if server.type == socket.SOCK_STREAM:
        server.listen(1024)
    listeners.append((namespace, server))
    threading.Thread(target=serve, args=(services[protocol], server, name.encode()), daemon=True).start()
    return "listening"


def serve(service, server, name):
    try:
        service(server, name)
    except Exception:
        if server not in closed:
            raise


def close(namespaces):
    """A socket keeps its network namespace, and the devices in it, also after the last process has gone."""
    for namespace, server in list(listeners):
        if namespace in namespaces:
            listeners.remove((namespace, server))
            closed.add(server)
            try:
                # It wakes who waits for somebody to come, also where there is no connection.
                server.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            server.close()
    return "closed"


def ask(protocol, address, port, seconds, source=0):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, kinds[protocol]) as client:
        client.settimeout(seconds)
        try:
            client.bind(("", source))
            client.connect((address, port))
            if protocol == "udp":
                client.send(b"?")
            return client.recv(64).decode()
        except TimeoutError:
            return "nothing"
        except OSError as error:
            return errno.errorcode[error.errno]


def transfer(address, port, size, seconds):
    """Sends so many bytes to who gives them back, and says what became of them."""
    block = bytes(range(256)) * 256
    with socket.create_connection((address, port), timeout=seconds) as client:

        def send():
            left = size
            while left > 0:
                client.sendall(block[:left])
                left -= len(block)
            client.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        count = 0
        while data := client.recv(1 << 16):
            offset = count % 256
            if data != (block + block)[offset : offset + len(data)]:
                return f"damaged after {count} bytes"
            count += len(data)
        sender.join()
    return f"{count} bytes came back"


def resolve(name, type, protocol, server, seconds):
    """Asks a name server for records of one type: addresses in their order, or a code of RFC 1035, 4.1.1."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    query = struct.pack("!HHHHHH", 0x1234, 0x100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", types[type], 1)
    with socket.socket(socket.AF_INET, kinds[protocol]) as client:
        client.settimeout(seconds)
        try:
            client.connect((server, 53))
            client.sendall(query if protocol == "udp" else struct.pack("!H", len(query)) + query)
            answer = client.recv(4096)
            if protocol == "tcp":
                while len(answer) < 2 or len(answer) < 2 + struct.unpack("!H", answer[:2])[0]:
                    answer += client.recv(4096)
                answer = answer[2:]
        except TimeoutError:
            return "nothing"
        except OSError as error:
            return errno.errorcode[error.errno]
    code = answer[3] & 15
    if code != 0:
        return {2: "SERVFAIL", 3: "NXDOMAIN", 5: "REFUSED"}.get(code, str(code))
    return " ".join(sorted(records(answer, len(query))))


def records(answer, at):
    for _ in range(struct.unpack("!H", answer[6:8])[0]):
        at = after_name(answer, at)
        kind, _, _, length = struct.unpack("!HHIH", answer[at : at + 10])
        data = answer[at + 10 : at + 10 + length]
        at += 10 + length
        if kind == types["PTR"]:
            yield text_of(data)
        else:
            yield socket.inet_ntop(socket.AF_INET if kind == types["A"] else socket.AF_INET6, data)


def after_name(answer, at):
    while answer[at] != 0:
        if answer[at] >= 0xC0:
            return at + 2
        at += 1 + answer[at]
    return at + 1


def text_of(name):
    labels = []
    while name[0] != 0:
        labels.append(name[1 : 1 + name[0]].decode())
        name = name[1 + name[0] :]
    return ".".join(labels)


def flood(kind, address, port, count):
    """Asks, breaks off, or sends what no program has asked for, so many times; says how often that was possible."""
    done = 0
    if kind == "udp":
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.connect((address, port))
            for number in range(count):
                try:
                    client.send(number.to_bytes(4, "big") * (1 + number % 100))
                    done += 1
                except OSError:
                    pass
        return str(done)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for _ in range(count):
        with socket.socket(family, socket.SOCK_STREAM) as client:
            # It goes without a farewell, so that the kernel keeps no port of it.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.settimeout(5)
            try:
                client.connect((address, port))
                done += 1 if kind == "break" or len(client.recv(64)) > 0 else 0
            except OSError:
                pass
    return str(done)


def hold(address, port, count, namespace):
    """Connects so many times, and says nothing."""
    for _ in range(count):
        held.append((namespace, socket.create_connection((address, port), timeout=5)))
    return "held"


def release(namespace):
    for one in [one for one in held if one[0] == namespace]:
        held.remove(one)
        one[1].close()
    return "released"


def stray(source, address):
    addresses = socket.inet_aton(source) + socket.inet_aton(address)
    packet = struct.pack("!BBHHHBBH", 0x45, 0, 0, 0, 0, 64, socket.IPPROTO_TCP, 0) + addresses
    packet += struct.pack("!HHIIBBHHH", 40000, 80, 1, 1, 5 << 4, 0x04, 0, 0, 0)
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sender.sendto(packet, (address, 0))
    return "sent"


services = {"tcp": serve_tcp, "udp": serve_udp, "echo": serve_echo, "names": serve_names}
verbs = {
    "listen": listen,
    "close": close,
    "ask": ask,
    "stray": stray,
    "transfer": transfer,
    "resolve": resolve,
    "flood": flood,
    "hold": hold,
    "release": release,
}


def run(number, namespace, verb, words):
    try:
        # For this thread alone; a socket stays in the namespace that it was made in.
        if namespace != "":
            with open(namespace) as file:
                if libc.setns(file.fileno(), 0) != 0:
                    raise OSError(ctypes.get_errno(), "setns")
        if verb in ("listen", "hold", "release"):
            words["namespace"] = namespace
        answer(number, result=verbs[verb](**words))
    except Exception as error:
        answer(number, error=repr(error))


for line in sys.stdin:
    threading.Thread(target=run, kwargs=json.loads(line), daemon=True).start()
