"""Listens and asks in network namespaces, by lines of JSON: see network-peer.ts."""

import ctypes
import errno
import json
import socket
import struct
import sys
import threading

output = threading.Lock()
libc = ctypes.CDLL(None, use_errno=True)
kinds = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


def answer(number, **words):
    with output:
        print(json.dumps({"number": number, **words}), flush=True)


def address_of(peer):
    return peer[0].removeprefix("::ffff:").encode()


def serve_tcp(server, name):
    while True:
        connection, peer = server.accept()
        with connection:
            connection.sendall(name + b" " + address_of(peer))


def serve_udp(server, name):
    while True:
        _, peer = server.recvfrom(64)
        server.sendto(name + b" " + address_of(peer), peer)


def listen(protocol, port, name, address="::"):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    server = socket.socket(family, kinds[protocol])
    if family == socket.AF_INET6:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    server.bind((address, port))
    if protocol == "tcp":
        server.listen()
    serve = serve_tcp if protocol == "tcp" else serve_udp
    threading.Thread(target=serve, args=(server, name.encode()), daemon=True).start()
    return "listening"


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


def stray(source, address):
    addresses = socket.inet_aton(source) + socket.inet_aton(address)
    packet = struct.pack("!BBHHHBBH", 0x45, 0, 0, 0, 0, 64, socket.IPPROTO_TCP, 0) + addresses
    packet += struct.pack("!HHIIBBHHH", 40000, 80, 1, 1, 5 << 4, 0x04, 0, 0, 0)
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sender.sendto(packet, (address, 0))
    return "sent"


def run(number, namespace, verb, words):
    try:
        # For this thread alone; a socket stays in the namespace that it was made in.
        with open(namespace) as file:
            if libc.setns(file.fileno(), 0) != 0:
                raise OSError(ctypes.get_errno(), "setns")
        answer(number, result={"listen": listen, "ask": ask, "stray": stray}[verb](**words))
    except Exception as error:
        answer(number, error=repr(error))


for line in sys.stdin:
    threading.Thread(target=run, kwargs=json.loads(line), daemon=True).start()
