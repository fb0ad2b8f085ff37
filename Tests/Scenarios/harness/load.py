"""Clients that ask all the time, and count what was not answered."""

import collections
import threading

from harness.wire import Closed, request, until


class Load:
    """Each request that was sent in full must be answered by a 200; whatever else happened is in `lost`.

    `keep`: connections are used again. A reload closes no connection under a request, so nothing may be lost on a kept
    one either; a scenario that kills an edge asks `lost` itself.
    """

    def __init__(self, proxy, clients=4, target="/worker", keep=True, **options):
        self.proxy, self.target, self.keep, self.options = proxy, target, keep, options
        self.stopping, self.answered, self.lost = threading.Event(), 0, []
        self.statuses = collections.Counter()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]
        for thread in self._threads:
            thread.start()

    def _ask(self):
        client = None
        while not self.stopping.is_set():
            try:
                client = client or self.proxy.client(**self.options)
                answer = client.exchange(request(self.target))
            except (Closed, OSError) as failure:
                with self._lock:
                    self.lost.append(repr(failure))
                client = client and client.close()
                continue
            with self._lock:
                self.answered += 1
                self.statuses[answer.status] += 1
                if answer.status != 200 or not answer.complete:
                    self.lost.append((answer.status, answer.text))
            if not self.keep or answer.get("connection") == "close":
                client = client.close()
        if client:
            client.close()

    def more(self, count=50):
        """Waits until so many more were answered."""
        wanted = self.answered + count
        until(lambda: self.answered >= wanted, f"{count} more answers")
        return self

    def stop(self):
        self.stopping.set()
        for thread in self._threads:
            thread.join()
        return self

    def end(self):
        """Stops; nothing was lost."""
        self.stop()
        assert self.lost == []
        return self.answered
