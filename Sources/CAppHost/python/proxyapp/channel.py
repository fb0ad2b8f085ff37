"""The control channel to the master: one JSON object a packet on a Unix SOCK_SEQPACKET socket."""

import array
import fcntl
import json
import os
import signal
import socket

# The longest packet (bytes), as the master keeps it.
PACKET_BYTES_MAX = 65536

# The most descriptors that come with one packet; `fork` carries four.
DESCRIPTORS_MAX = 8


class Ended(Exception):
    """The master closed its end, or died."""


class Channel:
    """One end of the control channel. Descriptors that come with a packet are close-on-exec."""

    def __init__(self, descriptor):
        os.set_inheritable(descriptor, False)
        self.socket = socket.socket(fileno=descriptor)
        self.socket.setblocking(True)  # an app may have called socket.setdefaulttimeout

    def fileno(self):
        return self.socket.fileno()

    def close(self):
        self.socket.close()

    def send(self, flags=0, **event):
        """Sends one event. With MSG_DONTWAIT a full channel raises BlockingIOError."""
        try:
            self.socket.send(json.dumps(event).encode(), flags)
        except (BrokenPipeError, ConnectionResetError):
            raise Ended from None

    def receive(self, flags=0):
        """The next packet: `(command, descriptors)`. Raises `Ended` at the end of the channel."""
        size = array.array("i").itemsize * DESCRIPTORS_MAX
        try:
            data, ancillary, _, _ = self.socket.recvmsg(
                PACKET_BYTES_MAX, socket.CMSG_SPACE(size), flags | socket.MSG_CMSG_CLOEXEC)
        except ConnectionResetError:
            raise Ended from None
        descriptors = array.array("i")
        for level, kind, content in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                descriptors.frombytes(content[:len(content) - len(content) % descriptors.itemsize])
        if not data:
            raise Ended
        return json.loads(data), list(descriptors)

    def exit_if_ended(self):
        """Ends this process at once when the master has gone; leaves its packets alone."""
        try:
            if not self.socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT):
                os._exit(0)
        except BlockingIOError:
            pass
        except OSError:
            os._exit(0)

    def interrupt_on_arrival(self, handler):
        """Calls `handler()` in the main thread whenever a packet or the end arrives.

        SIGIO makes it: so a worker whose only thread is in the app notices that the master died.
        Code in C that never comes back to the interpreter is not interrupted, nor a blocking call
        that begins in the microsecond after the signal: then the handler runs when it ends.
        """
        signal.signal(signal.SIGIO, lambda number, frame: handler())
        fcntl.fcntl(self.socket, fcntl.F_SETOWN, os.getpid())
        flags = fcntl.fcntl(self.socket, fcntl.F_GETFL)
        fcntl.fcntl(self.socket, fcntl.F_SETFL, flags | os.O_ASYNC)
        handler()  # what came before
