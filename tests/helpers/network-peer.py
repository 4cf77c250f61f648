"""Listens and asks in the network namespace that it is started in, by lines of JSON: see network-peer.ts."""

import errno
import json
import socket
import struct
import sys
import threading

output = threading.Lock()
kinds = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


def answer(number, result):
    with output:
        print(json.dumps({"number": number, "result": result}), flush=True)


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


def ask(protocol, address, port, seconds):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, kinds[protocol]) as client:
        client.settimeout(seconds)
        try:
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
        sender.sendto(packet, (address, 0))
    return "sent"


def run(number, verb, words):
    answer(number, {"listen": listen, "ask": ask, "stray": stray}[verb](**words))


for line in sys.stdin:
    request = json.loads(line)
    threading.Thread(target=run, args=(request["number"], request["verb"], request["words"]), daemon=True).start()
