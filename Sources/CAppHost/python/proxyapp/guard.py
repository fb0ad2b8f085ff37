"""The fork-safety guard: what the app opened or started while it was imported, and would share.

A connection that several processes use mixes their bytes up; a thread does not live on in a forked
process, while the locks that it held stay held. Both look well until there is load.
"""

import os
import socket
import stat
import threading

# Kinds of socket whose bytes mix when several processes use one.
_STREAMS = frozenset((socket.SOCK_STREAM, socket.SOCK_SEQPACKET))


def open_descriptors():
    """The descriptors of this process, with what they lead to."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[int(name)] = os.readlink("/proc/self/fd/" + name)
        except OSError:
            pass  # the one that listed the folder
    return found


def warnings(before):
    """What is wrong now, a sentence each; `before` is `open_descriptors()` before the import."""
    found = []
    for descriptor, target in sorted(open_descriptors().items()):
        if before.get(descriptor) != target:
            sentence = _about(descriptor)
            if sentence:
                found.append(sentence)
    names = [thread.name for thread in threading.enumerate()
             if thread is not threading.main_thread()]
    if names:
        found.append(
            "the app started %s while it was imported (%s); threads do not live on in the workers: "
            "start them at the first request"
            % ("a thread" if len(names) == 1 else "%d threads" % len(names), ", ".join(names)))
    return found


def _about(descriptor):
    try:
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            return None
        with socket.socket(fileno=os.dup(descriptor)) as sock:
            if sock.type not in _STREAMS:
                return None  # datagrams do not mix
            if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                return ("the app listens on %s since it was imported; the workers share that socket"
                        % _place(sock.getsockname()))
            try:
                peer = sock.getpeername()
            except OSError:
                return None  # not connected
            if not peer:
                return None  # one of a pair, as event loops make to wake themselves
            return ("the app opened a connection to %s while it was imported; all workers would "
                    "share it: open it when it is first used" % _place(peer))
    except OSError:
        return None  # closed meanwhile


def _place(address):
    if isinstance(address, tuple):
        return ("[%s]:%d" if ":" in address[0] else "%s:%d") % address[:2]
    if isinstance(address, bytes):
        return "@" + address.lstrip(b"\0").decode("utf-8", "replace")
    return address or "an unnamed socket"
