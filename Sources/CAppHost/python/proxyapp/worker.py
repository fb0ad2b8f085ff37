"""A worker: a forked copy of the zygote that answers requests on a listening socket of its own.

With one thread everything runs in the main thread. With several, each takes the next connection
that has something to read from one common epoll set, and the main thread listens to the master.
No thread ever waits on one idle connection, so no edge is starved by another.
"""

import errno
import faulthandler
import mmap
import os
import select
import signal
import socket
import sys
import threading
import time
import traceback

from proxyapp import failure
from proxyapp.answer import FileWrapper
from proxyapp.channel import Channel, Ended
from proxyapp.connection import Connection, Tally
from proxyapp.head import Heads

# How often at most the master is told what the worker costs (seconds).
COST_SECONDS = 1.0

# Connections taken in one turn, so that requests on others are not held up.
ACCEPT_MAX = 16

# How long accepting rests when the process has no descriptor left (seconds).
EXHAUSTED_SECONDS = 0.05

# Prints the stacks of all threads to the error log. A real-time signal, as apps use the others.
STACKS_SIGNAL = signal.SIGRTMIN

# The longest name of a process (bytes, TASK_COMM_LEN without its end).
PROCESS_NAME_MAX = 15

# The exit status after a bug of this host (EX_SOFTWARE).
BUG_STATUS = 70

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_EXHAUSTED = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))


class Worker:
    """One worker process: its connections, and what of it the master hears and sees.

    `busy` is this worker's part of the busy memory: a byte a place, 1 while the app has a request.
    """

    def __init__(self, application, service, threads, listener, channel, busy):
        self.application = application
        self.service = service
        self.draining = False
        self.busy = busy
        self.heads = Heads(_base_environ(threads > 1))
        self._channel = channel
        self._listener = listener
        self._listening = True
        self._listener_lock = threading.Lock()
        self._connections = {}
        self._many = threads > 1
        # With several threads an event is given to one of them, who asks for the next one.
        self._events = select.EPOLLIN | (select.EPOLLONESHOT if self._many else 0)
        self._poll = select.epoll()
        self._tallies = [Tally() for _ in range(threads)]
        self._cost_told = 0  # requests
        self._cost_due = 0.0  # monotonic seconds
        self._wake, self._waker = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(self._waker, False)

    def run(self):
        """Serves until the master or SIGTERM says drain; what is in hand is answered first."""
        signal.signal(signal.SIGTERM, lambda number, frame: self._drain())
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        self._poll.register(self._listener.fileno(), self._events)
        self._channel.interrupt_on_arrival(self._hear)
        try:
            self._channel.send(event="ready", pid=os.getpid())
        except Ended:
            os._exit(0)
        if self._many:
            self._run_threads()
        else:
            self._run_alone()
        self._finish()
        self._tell_cost()

    # One thread

    def _run_alone(self):
        tally = self._tallies[0]
        connections = self._connections
        self._poll.register(self._wake, select.EPOLLIN)
        self._poll.register(self._channel.fileno(), select.EPOLLIN)
        while not self.draining:
            wait = None
            if tally.requests != self._cost_told:
                wait = self._cost_due - time.monotonic()
                if wait <= 0:
                    self._tell_cost()
                    wait = None
            for descriptor, _ in self._poll.poll(wait):
                connection = connections.get(descriptor)
                if connection is None:
                    self._attend(descriptor)
                elif not connection.serve(tally):
                    self._close(connection)
        self._poll.unregister(self._wake)
        self._poll.unregister(self._channel.fileno())

    def _attend(self, descriptor):
        """What is ready and is no connection."""
        if descriptor == self._listener.fileno():
            self._accept()
        elif descriptor == self._wake:
            self._empty_wake()
        elif descriptor == self._channel.fileno():
            self._hear()

    # Several threads

    def _run_threads(self):
        stop, stopper = os.pipe()
        self._poll.register(stop, select.EPOLLIN)
        threads = [threading.Thread(target=self._run_thread, args=(tally,), daemon=True,
                                    name="proxyapp-%d" % (number + 1))
                   for number, tally in enumerate(self._tallies)]
        for thread in threads:
            thread.start()
        main = select.poll()
        main.register(self._wake, select.POLLIN)
        main.register(self._channel.fileno(), select.POLLIN)
        while not self.draining:
            for descriptor, _ in main.poll(COST_SECONDS * 1000):
                self._attend(descriptor)
            self._tell_cost()
        self._refuse_connections()
        os.write(stopper, b".")  # never read: every thread sees it
        for thread in threads:
            while thread.is_alive():
                thread.join(COST_SECONDS)
        self._poll.unregister(stop)

    def _run_thread(self, tally):
        try:
            while not self.draining:
                for descriptor, _ in self._poll.poll(None, 1):
                    self._serve_one(descriptor, tally)
            # What has come already is answered. One of any two that are ready is a connection.
            while True:
                ready = [each for each, _ in self._poll.poll(0, 2) if each in self._connections]
                if not ready:
                    return
                for descriptor in ready[1:]:
                    self._poll.modify(descriptor, self._events)  # for another thread
                self._serve_one(ready[0], tally)
        except BaseException:  # a bug of this host: the master starts another worker
            traceback.print_exc()
            os._exit(BUG_STATUS)

    def _serve_one(self, descriptor, tally):
        connection = self._connections.get(descriptor)
        if connection is not None:
            if connection.serve(tally):
                self._poll.modify(descriptor, self._events)
            else:
                self._close(connection)
        elif descriptor == self._listener.fileno():
            self._accept()
            with self._listener_lock:
                if self._listening:
                    self._poll.modify(descriptor, self._events)

    # Connections

    def _accept(self):
        for _ in range(ACCEPT_MAX):
            try:
                sock, _ = self._listener.accept()
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    failure.warn("no connection can be accepted: %s" % error.strerror)
                    time.sleep(EXHAUSTED_SECONDS)
                return
            self._add(sock)

    def _add(self, sock):
        sock.setblocking(True)  # whatever the app made the default
        connection = Connection(self, sock)
        self._connections[connection.descriptor] = connection
        self._poll.register(connection.descriptor, self._events)

    def _close(self, connection):
        del self._connections[connection.descriptor]
        # Closing alone would leave it in the set while a child of the app has a copy.
        self._poll.unregister(connection.descriptor)
        connection.close()

    # Drain

    def _drain(self):
        self.draining = True
        try:
            os.write(self._waker, b".")
        except BlockingIOError:
            pass  # it is full, so it wakes

    def _refuse_connections(self):
        """No edge can connect from here on; those who have connected are taken in."""
        with self._listener_lock:
            if not self._listening:
                return
            self._listening = False
            self._poll.unregister(self._listener.fileno())
        self._listener.shutdown(socket.SHUT_RD)
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self._add(sock)

    def _finish(self):
        """Answers what has come, then closes every connection, without a gap between the two.

        An edge may be sending at this moment. So its side is shut first: what it sends after that
        fails in its hands and goes to another worker; what it sent before is read and answered.
        """
        self._refuse_connections()
        tally = self._tallies[0]
        while self._serve_ready(tally):
            pass
        for connection in list(self._connections.values()):
            connection.refuse_more()
            connection.serve(tally)
            self._close(connection)

    def _serve_ready(self, tally):
        ready = [self._connections[each] for each, _ in self._poll.poll(0)
                 if each in self._connections]
        for connection in ready:
            if not connection.serve(tally):
                self._close(connection)
            elif self._many:
                self._poll.modify(connection.descriptor, self._events)
        return ready

    # The master

    def _hear(self):
        """Reads what the master said; its end is ours."""
        try:
            while True:
                command, _ = self._channel.receive(socket.MSG_DONTWAIT)
                if command.get("command") == "drain":
                    self._drain()
        except BlockingIOError:
            pass
        except Ended:
            os._exit(0)

    def _empty_wake(self):
        try:
            os.read(self._wake, 4096)
        except BlockingIOError:
            pass

    def _tell_cost(self):
        requests = sum(tally.requests for tally in self._tallies)
        if requests == self._cost_told:
            return
        self._cost_due = time.monotonic() + COST_SECONDS
        with open("/proc/self/statm", "rb") as file:
            resident = int(file.read().split()[1]) * _PAGE_BYTES
        try:
            self._channel.send(
                socket.MSG_DONTWAIT, event="cost", requests=requests, rss_bytes=resident,
                busy_seconds=round(sum(tally.busy for tally in self._tallies), 6))
            self._cost_told = requests
        except BlockingIOError:
            pass  # the master is behind; these are totals, so the next one says it all
        except Ended:
            os._exit(0)


def name_process(name):
    """Gives the process the name that `ps` and `top` show, its last characters when it is long."""
    # Not /proc/self/comm: that one is root's after a change of user.
    with open("/proc/thread-self/comm", "w") as file:
        file.write(name[-PROCESS_NAME_MAX:])


def _base_environ(many):
    """What is the same in every environ (PEP 3333)."""
    return {
        "wsgi.version": (1, 0),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": many,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": FileWrapper,
        "wsgi.input_terminated": True,  # read to its end, wsgi.input ends: also when it is chunked
        "SERVER_SOFTWARE": "proxy",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": "localhost",
        "SCRIPT_NAME": "",
    }


def start(application, service, threads, number, places, busy_offset, descriptors):
    """Becomes a worker in a process that was just forked, and comes back when it is drained.

    `descriptors`: listening socket, control channel, output pipe, busy memory.
    """
    listening, control, output, memory = descriptors
    for standard in (1, 2):
        os.dup2(output, standard)
    os.close(output)
    whole = mmap.mmap(memory, 0)
    os.close(memory)
    name_process("%s/%d" % (service, number))
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    faulthandler.enable(file=2)
    faulthandler.register(STACKS_SIGNAL, file=2, all_threads=True, chain=False)
    listener = socket.socket(fileno=listening)
    listener.setblocking(False)
    busy = memoryview(whole)[busy_offset:busy_offset + places]
    if len(busy) != places:
        raise ValueError("the busy memory has %d bytes, too few" % len(whole))
    Worker(application, service, threads, listener, Channel(control), busy).run()
