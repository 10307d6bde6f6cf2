"""Servers that a test may break."""

import shutil
import signal
from itertools import count

from devstack import zookeeper
from devstack.home import Home
from devstack.process import Child, start_all, stop_all

_numbers = count(1)


class ZooKeeperServer:
    """A ZooKeeper on one port for its whole life, whatever happens to it."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._spec = zookeeper.spec(home, durable=False, name=f"zookeeper-{next(_numbers)}")
        self._child: Child | None = None
        self.hosts = zookeeper.hosts(self._spec.port)

    def start(self) -> None:
        """Starts it and waits until it serves."""
        assert self._child is None, "it runs already"
        [self._child] = start_all([self._spec], self._home)

    def stop(self) -> None:
        """Stops it, if it runs; its data stay."""
        if self._child:
            self.resume()
            stop_all([self._child])
            self._child = None

    def kill(self) -> None:
        """Ends it as a crash would."""
        assert self._child is not None, "it does not run"
        self._child.kill()
        self._child = None

    def empty(self) -> None:
        """Stops it and removes its data: started again, it knows nothing and nobody."""
        self.stop()
        shutil.rmtree(zookeeper.data_folder(self._home, self._spec.name))
        zookeeper.data_folder(self._home, self._spec.name).mkdir()

    def pause(self) -> None:
        """Hangs it: connections stay open and nothing is answered."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Lets it go on after `pause`."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._child is not None, "it does not run"
        self._child.send(number)
