"""Signals of this worker, in blinker's words.

    from proxyapp.signals import request_exception, signal

    @request_exception.connect
    def tell(sender, exception, environ, id, **more): ...

    signal("checkout.paid").send("shop", order=42)

A worker raises, with the service's name as the sender, in this order for each request:

- `request_started`: `environ`, `id`;
- `request_exception`: `environ`, `id`, `exception`: the app raised, or Flask or Django handled;
- `request_finished`: `environ`, `id`, `status`, `duration` (seconds);
- `request_tearing_down`: `environ`, `id`.

They are raised in the thread that answers, and stay within this process. A receiver that raises is
logged and changes no answer, but it takes the worker's time: keep it short. Outside our workers
nothing raises these four. Signals of your own (`signal(name)`) work everywhere.

Receivers are held strongly unless `weak=True`, and called in the order of connection.
"""

import weakref
from contextlib import contextmanager
from threading import Lock

from proxyapp import failure

# Connected for every sender.
ANY = object()


class _Connection:
    """One receiver: how it is reached, the sender it wants, and what it is found again by."""

    __slots__ = ("_reference", "_is_weak", "sender", "identity")

    def __init__(self, receiver, sender, is_weak, identity):
        self._is_weak = is_weak
        self._reference = receiver
        if is_weak:
            bound = hasattr(receiver, "__self__") and hasattr(receiver, "__func__")
            self._reference = weakref.WeakMethod(receiver) if bound else weakref.ref(receiver)
        self.sender = sender
        self.identity = identity

    def receiver(self):
        """The receiver, or None when it was held weakly and is gone."""
        return self._reference() if self._is_weak else self._reference


class Signal:
    """Something that happens, with those who want to know of it."""

    def __init__(self, name=None, doc=None):
        self.name = name
        self.__doc__ = doc or Signal.__doc__
        # Never changed in place: whoever is sending goes on with the list that he has.
        self.receivers = ()
        self._muted = 0
        self._lock = Lock()

    def __repr__(self):
        return "<Signal %s>" % self.name

    def __bool__(self):
        return bool(self.receivers)

    def connect(self, receiver, sender=ANY, weak=False, dispatch_uid=None):
        """Calls `receiver(sender, **data)` from now on; for one `sender` only when it is given.

        The same receiver for the same sender (or the same `dispatch_uid`) is connected once.
        Gives the receiver back, so that it serves as a decorator.
        """
        if not callable(receiver):
            raise TypeError("a receiver must be callable")
        identity = dispatch_uid if dispatch_uid is not None else receiver
        connection = _Connection(receiver, sender, weak, dispatch_uid)
        with self._lock:
            alive = tuple(each for each in self.receivers if each.receiver() is not None)
            if not any(_matches(each, identity, sender) for each in alive):
                alive += (connection,)
            self.receivers = alive
        return receiver

    def connect_via(self, sender, weak=False):
        """A decorator: `connect` for one sender."""
        return lambda receiver: self.connect(receiver, sender, weak)

    @contextmanager
    def connected_to(self, receiver, sender=ANY):
        """Connected within a `with` block."""
        self.connect(receiver, sender)
        try:
            yield
        finally:
            self.disconnect(receiver, sender)

    def disconnect(self, receiver=None, sender=ANY, dispatch_uid=None):
        """Ends a connection; whether there was one. With `ANY`, all connections of the receiver."""
        identity = dispatch_uid if dispatch_uid is not None else receiver
        with self._lock:
            left = tuple(
                each for each in self.receivers
                if each.receiver() is not None
                and not (_matches(each, identity, each.sender if sender is ANY else sender)))
            gone = len(left) < len(self.receivers)
            self.receivers = left
        return gone

    @contextmanager
    def muted(self):
        """Nobody is called within a `with` block."""
        with self._lock:
            self._muted += 1
        try:
            yield
        finally:
            with self._lock:
                self._muted -= 1

    def has_receivers_for(self, sender):
        """Whether anybody would be called for `sender`."""
        return any(True for _ in self.receivers_for(sender))

    def receivers_for(self, sender):
        """The receivers that want `sender`, in the order of connection."""
        for each in self.receivers:
            if each.sender is ANY or each.sender is sender or each.sender == sender:
                receiver = each.receiver()
                if receiver is not None:
                    yield receiver

    def send(self, sender=None, **data):
        """Calls the receivers; `[(receiver, what it gave)]`. What a receiver raises ends it."""
        if self._muted:
            return []
        return [(each, each(sender, **data)) for each in self.receivers_for(sender)]

    def send_robust(self, sender=None, **data):
        """As `send`, but an exception is that receiver's result, and the next one is called."""
        results = []
        if self._muted:
            return results
        for each in self.receivers_for(sender):
            try:
                results.append((each, each(sender, **data)))
            except Exception as error:
                results.append((each, error))
        return results


def _matches(connection, identity, sender):
    known = connection.identity if connection.identity is not None else connection.receiver()
    same_sender = connection.sender is sender or (
        connection.sender is not ANY and sender is not ANY and connection.sender == sender)
    return known == identity and same_sender


_named = {}
_naming = Lock()


def signal(name, doc=None):
    """The signal of this name, the same one each time. Dashes are taken as underscores."""
    name = name.replace("-", "_")
    with _naming:
        if name not in _named:
            _named[name] = Signal(name, doc)
        return _named[name]


request_started = signal("request_started")
request_finished = signal("request_finished")
request_exception = signal("request_exception")
request_tearing_down = signal("request_tearing_down")

# Flask's and Django's name for the same.
got_request_exception = _named["got_request_exception"] = request_exception


def tell(what, sender, environ, **data):
    """Raises a request's signal for the worker: what receivers raise goes to the error log, and
    SystemExit, too, is theirs alone."""
    if what._muted:
        return
    identity = environ.get("HTTP_X_REQUEST_ID")
    for receiver in what.receivers_for(sender):
        try:
            receiver(sender, environ=environ, id=identity, **data)
        except BaseException as error:
            failure.tell("a receiver of %s raised: %s" % (what.name, _shown(receiver)), error)


def _shown(receiver):
    """The receiver as its __repr__ has it, which is the app's and may raise."""
    try:
        return repr(receiver)
    except BaseException:
        return "(it cannot be named)"
