"""Plays a dialogue against a server and records what it answers."""

import contextlib
import re
import socket

CLOSED = "(closed)"
SILENT = "(silent)"
SILENCE_SECONDS = 5  # how long a reply is waited for where perhaps there is none


class Connection:
    def __init__(self, port, timeout=40):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    def send(self, data):
        with contextlib.suppress(ConnectionError):
            self.socket.sendall(data)

    def reply(self):
        """A whole reply, its lines joined by newlines, or CLOSED."""
        lines = []
        while True:
            try:
                line = self.file.readline()
            except ConnectionError:
                line = b""
            except TimeoutError:
                return SILENT
            if not line:
                return "\n".join([*lines, CLOSED])
            lines.append(line.decode("utf-8", "backslashreplace").rstrip("\r\n"))
            if lines[-1][3:4] != "-":
                return "\n".join(lines)


def normalised(reply):
    return re.sub(r"queued as [0-9A-Za-z]+", "queued as ID", reply)


def play(port, steps):
    """[(what was sent, reply)]: a step is bytes with how many replies they have; the body of a DATA
    is sent only when it was asked for. `None` replies: all is sent, and read until the end."""
    told = []
    with Connection(port) as client:
        told.append((b"(connect)", normalised(client.reply())))
        for step in steps:
            if told[-1][1].endswith((CLOSED, SILENT)):
                break
            if step.may_be_silent:
                client.socket.settimeout(SILENCE_SECONDS)
            client.send(step.data)
            said = labels(step)
            if step.replies is None:
                with contextlib.suppress(OSError):
                    client.socket.shutdown(socket.SHUT_WR)
                while not told[-1][1].endswith((CLOSED, SILENT)):
                    told.append((step.data, normalised(client.reply())))
                break
            for label in said:
                told.append((label, normalised(client.reply())))
                if told[-1][1].endswith(CLOSED):
                    break
            if step.body is not None and told[-1][1].startswith("354"):
                client.send(step.body)
                told.append((step.body, normalised(client.reply())))
    return told


def labels(step):
    """Which bytes each reply of the step answers."""
    if not step.replies or step.replies == 1:
        return [step.data]
    return [row + b"\r\n" for row in step.data.split(b"\r\n")[:step.replies]]


def show(data, limit=160):
    text = data.decode("latin-1").encode("unicode_escape").decode()
    return text if len(text) <= limit else f"{text[:limit]}...({len(data)} bytes)"
