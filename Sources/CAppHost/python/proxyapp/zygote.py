"""The zygote: imports the app once, then forks workers on the master's word.

Started as `python HOST/proxyapp/zygote.py` with HOST on PYTHONPATH and PROXY_CONTROL_FD set.
"""

import os
import sys

_PACKAGE = os.path.dirname(os.path.abspath(__file__))
_HOST = os.path.dirname(_PACKAGE)

if __name__ == "__main__":
    # A script's folder comes first in sys.path, where `signals` and `body` would hide the app's.
    sys.path[:] = [each for each in sys.path if os.path.abspath(each) not in (_PACKAGE, _HOST)]
    sys.path.append(_HOST)  # last: it hides nothing of the app's

import gc
import select
import signal
import socket
import time
import traceback
import warnings

from proxyapp import bridge, channel, failure, guard, loading, worker

# Signals that are the master's business, also when a terminal sends them to the whole group.
_IGNORED = (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)

# What `fork` brings: listening socket, control channel, output pipe, busy memory.
_FORK_DESCRIPTORS = 4


class Zygote:
    """The process that has the app imported, and the workers it forked that still live."""

    def __init__(self, control, order, application):
        self._collects = gc.isenabled()
        gc.collect()
        gc.disable()  # until a worker begins: a collection here un-shares memory for nothing
        gc.freeze()
        self._control = control
        self._service = order["service"]
        self._threads = order["threads"]
        self._application = application
        self._workers = {}  # pid: (worker, incarnation)
        self._wake, self._waker = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(self._waker, False)

    def run(self):
        """Forks and reaps until the master ends the channel. Comes back in a worker only."""
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        poll = select.poll()
        poll.register(self._control.fileno(), select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        while True:
            for descriptor, _ in poll.poll():
                if descriptor == self._wake:
                    self._reap()
                elif self._hear():
                    return

    def _hear(self):
        """Obeys one command; true in the worker that came of it."""
        order, descriptors = self._control.receive()
        if order.get("command") != "fork":
            _close(descriptors)
            return False
        known = {"worker": order["worker"], "incarnation": order["incarnation"]}
        error = None
        if len(descriptors) != _FORK_DESCRIPTORS:
            error = "fork came with %d descriptors" % len(descriptors)
        else:
            try:
                pid = _fork()
            except OSError as failed:
                error = failed.strerror
        if error is None and pid == 0:
            self._become(order, descriptors)
            return True
        _close(descriptors)
        if error is not None:
            self._control.send(event="fork_failed", error=error, **known)
        else:
            self._workers[pid] = known
            self._control.send(event="forked", pid=pid, **known)
        return False

    def _become(self, order, descriptors):
        signal.set_wakeup_fd(-1)
        _close((self._wake, self._waker))
        self._control.close()
        if self._collects:
            gc.enable()
        worker.start(self._application.call, self._service, self._threads, order["worker"],
                     order["places"], order["busy_offset"], descriptors)

    def _reap(self):
        try:
            os.read(self._wake, 4096)
        except BlockingIOError:
            pass
        for pid, known in list(self._workers.items()):  # children of the app are its own
            try:
                ended, status = os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:  # the app waited for all children
                ended, status = pid, 0
            if ended:
                del self._workers[pid]
                self._control.send(event="exited", pid=pid, status=status, **known)


def _fork():
    sys.stdout.flush()
    sys.stderr.flush()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads: the guard has spoken
        return os.fork()


def _close(descriptors):
    for descriptor in descriptors:
        os.close(descriptor)


def _enter(folder):
    """Makes the app's folder the current one and the first place that imports look in."""
    folder = os.path.abspath(folder)
    try:
        os.chdir(folder)
    except OSError as error:
        raise loading.LoadError("dir %s: %s" % (folder, error.strerror)) from error
    sys.path[:] = [folder] + [each for each in sys.path if os.path.abspath(each) != folder]
    return folder


def _import(control, order):
    """Imports the app and tells the master; None when it cannot be served."""
    started = time.monotonic()
    try:
        folder = _enter(order["dir"])
        before = guard.open_descriptors()
        application = loading.load(order["app"], folder, order.get("interface", "auto"))
    except loading.LoadError as error:
        # A packet holds no endless traceback; its end tells the most.
        trace = error.trace[-channel.PACKET_BYTES_MAX // 8:]
        control.send(event="import_failed", error=str(error)[:4096], traceback=trace)
        return None
    bridge.connect()
    found = guard.warnings(before)
    control.send(
        event="imported", interface=application.interface, description=application.description,
        seconds=round(time.monotonic() - started, 6), warnings=found)
    return application


def main():
    for each in _IGNORED:
        signal.signal(each, signal.SIG_IGN)
    # As well, where a service manager sends it to each process; programs of the app inherit no
    # handler. A worker drains at it.
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
    control = channel.Channel(int(os.environ.pop("PROXY_CONTROL_FD")))
    try:
        order, _ = control.receive()
        worker.name_process("zygote " + order["service"])
        failure.prepare()
        control.interrupt_on_arrival(control.exit_if_ended)
        application = _import(control, order)
        if application is None:
            return 1
        Zygote(control, order, application).run()
    except channel.Ended:
        # The master has gone. The workers watch channels of their own, and are not ended by this.
        os._exit(0)
    return 0


if __name__ == "__main__":
    sys.exit(main())
