"""Answers for seccomp filters that notify: seccomp_unotify(2).

    seccomp-agent.py SOCKET ANSWERS

ANSWERS is a JSON object of system call numbers and the error numbers that they fail with; every other call goes on.
Each thing that happens is a line of JSON: {"state": ...} for a listener that came, {"closed": ...} when its connection
ended, {"call": ...} for a notification, {"end": ...} when nobody has that filter any more.
"""

import array
import fcntl
import json
import os
import select
import socket
import struct
import sys
import threading

RECV = 0xC0502100
SEND = 0xC0182101
CONTINUE = 1

answers = {int(number): errno for number, errno in json.loads(sys.argv[2]).items()}


lines = threading.Lock()


def tell(**what):
    with lines:
        sys.stdout.write(json.dumps(what) + "\n")
        sys.stdout.flush()


def receive(connection):
    data = b""
    descriptors = array.array("i")
    while True:
        part, control, _, _ = connection.recvmsg(65536, socket.CMSG_SPACE(16))
        for level, kind, payload in control:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                descriptors.frombytes(payload)
        data += part
        try:
            return json.loads(data), list(descriptors)
        except ValueError:
            if not part:
                raise


def answer(listener, state):
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    while True:
        for _, events in poll.poll():
            if events & select.POLLHUP:
                os.close(listener)
                return tell(end=state["pid"])
        notification = bytearray(80)
        try:
            fcntl.ioctl(listener, RECV, notification)
        except FileNotFoundError:
            continue  # The process was killed meanwhile.
        identity, pid, _, number = struct.unpack_from("QIIi", notification)
        tell(call=number, pid=pid)
        error = answers.get(number)
        response = struct.pack("QqiI", identity, 0, -error if error else 0, 0 if error else CONTINUE)
        try:
            fcntl.ioctl(listener, SEND, response)
        except FileNotFoundError:
            pass


def serve(connection):
    with connection:
        state, descriptors = receive(connection)
        tell(state=state, descriptors=len(descriptors))
        for listener in descriptors:
            threading.Thread(target=answer, args=(listener, state), daemon=True).start()
        # The peer's end of it, not whatever else might come.
        if connection.recv(1) == b"":
            tell(closed=state["pid"])


server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
server.bind(sys.argv[1])
server.listen(8)
tell(ready=True)
while True:
    threading.Thread(target=serve, args=server.accept()[:1], daemon=True).start()
