"""A name server that says exactly what its zone says, and a place where the machine asks nobody else."""

import ipaddress
import os
import select
import shutil
import socket
import struct
import subprocess
import threading

import pytest

A, NS, CNAME, SOA, AAAA = 1, 2, 5, 6, 28
OK, FORMAT_ERROR, SERVER_FAILURE, NO_SUCH_NAME, REFUSED = 0, 1, 2, 3, 5


def may_mount():
    """Whether a process can be given an /etc/resolv.conf of its own: c-ares asks port 53 of the servers there."""
    if os.getuid() != 0 or shutil.which("unshare") is None:
        return False
    trial = ["unshare", "--mount", "mount", "--bind", "/etc/resolv.conf", "/etc/resolv.conf"]
    return subprocess.run(trial, capture_output=True).returncode == 0


own_names = pytest.mark.skipif(not may_mount(), reason="a resolv.conf for one process needs the right to mount, as root has it")


def encoded(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.strip(".").split(".")) + b"\0"


def record(name, kind, ttl, value):
    return encoded(name) + struct.pack("!HHIH", kind, 1, ttl, len(value)) + value


class Answer:
    """What a question gets: addresses of its type (and names they are aliases of), or a code, or raw bytes."""

    def __init__(self, *addresses, ttl=3600, code=OK, alias=None, raw=None, truncated=False, silent=False):
        self.addresses = [ipaddress.ip_address(address) for address in addresses]
        self.ttl, self.code, self.alias, self.raw = ttl, code, alias, raw
        # `truncated`: by UDP only the word that there is more is said.
        self.truncated, self.silent = truncated, silent


class DNSServer:
    """Answers by UDP and TCP on port 53 of a loopback address of its own.

    `zone` maps names to an `Answer`, and may be changed at any time; what is not there does not exist. `asked` holds
    each question: name, type and transport.
    """

    def __init__(self, folder):
        self.zone, self.asked = {}, []
        self._sockets = self._bind()
        self.address = self._sockets[0].getsockname()[0]
        self.configuration = folder / "resolv.conf"
        self.configuration.write_text(f"nameserver {self.address}\n")
        self._stop, self._stopper = os.pipe()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @staticmethod
    def _bind():
        for number in range(1 << 16):
            # Apart from those of other tests and of the machine.
            place = (f"127.53.{number + os.getpid() >> 8 & 255}.{number + os.getpid() & 255}", 53)
            sockets = []
            try:
                for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                    sockets.append(socket.socket(socket.AF_INET, kind))
                    sockets[-1].bind(place)
                sockets[1].listen(16)
                return sockets
            except OSError:
                for each in sockets:
                    each.close()
        raise AssertionError("no loopback address has a free port 53")

    @property
    def within(self):
        """For `start_proxy`: a command that becomes the proxy where this is the only name server."""
        return ["unshare", "--mount", "sh", "-c",
                f'mount --bind {self.configuration} /etc/resolv.conf && exec "$@"', "names"]

    def times(self, name, kind=A):
        """How often a name was asked for."""
        return sum(each[:2] == (name, kind) for each in list(self.asked))

    def close(self):
        os.close(self._stopper)
        self._thread.join(5)
        for each in self._sockets:
            each.close()
        os.close(self._stop)

    def _serve(self):
        datagrams, listener = self._sockets
        poll = select.poll()  # not select(): a test may have thousands of descriptors
        for each in (datagrams, listener, self._stop):
            poll.register(each, select.POLLIN)
        while True:
            ready = [number for number, _ in poll.poll()]
            if self._stop in ready:
                return
            if datagrams.fileno() in ready:
                question, peer = datagrams.recvfrom(65536)
                answer = self._answer(question, "udp")
                if answer is not None:
                    datagrams.sendto(answer, peer)
            if listener.fileno() in ready:
                self._serve_stream(listener.accept()[0])

    def _serve_stream(self, connection):
        with connection, connection.makefile("rb") as file:
            connection.settimeout(5)
            try:
                question = file.read(*struct.unpack("!H", file.read(2)))
                answer = self._answer(question, "tcp")
                if answer is not None:
                    connection.sendall(struct.pack("!H", len(answer)) + answer)
                file.read(1)  # until it hangs up
            except (OSError, struct.error):
                pass

    def _answer(self, question, transport):
        number, flags = struct.unpack("!HH", question[:4])
        labels, position = [], 12
        while size := question[position]:
            labels.append(question[position + 1:position + 1 + size].decode())
            position += size + 1
        name = ".".join(labels).lower()
        kind, _ = struct.unpack("!HH", question[position + 1:position + 5])
        self.asked.append((name, kind, transport))
        answer = self.zone.get(name, Answer(code=NO_SUCH_NAME))
        if answer.silent:
            return None
        if answer.raw is not None:
            return answer.raw(question) if callable(answer.raw) else answer.raw
        is_cut = answer.truncated and transport == "udp"
        records, owner = [], name
        if answer.alias:
            records.append(record(name, CNAME, answer.ttl, encoded(answer.alias)))
            owner = answer.alias
        wanted = {A: 4, AAAA: 6}.get(kind)
        records += [record(owner, kind, answer.ttl, each.packed) for each in answer.addresses if each.version == wanted]
        if is_cut or answer.code:
            records = []
        head = struct.pack("!HHHHHH", number, 0x8480 | flags & 0x0100 | (0x0200 if is_cut else 0) | answer.code, 1, len(records), 0, 0)
        return head + question[12:position + 5] + b"".join(records)
