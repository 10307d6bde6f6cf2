"""Says by its exit code whether a process serves: `python -m deploy.probe PORT` or `… https://… CA_FILE`."""

import socket
import ssl
import sys
import urllib.request
from collections.abc import Sequence

TIMEOUT_SECONDS = 3


def main(arguments: Sequence[str]) -> None:
    """Raises, and so exits with an error, unless somebody listens at the port or the URL answers 200."""
    match arguments:
        case [port]:
            socket.create_connection(("127.0.0.1", int(port)), TIMEOUT_SECONDS).close()
        case [url, authority]:
            context = ssl.create_default_context(cafile=authority)
            urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS, context=context).close()  # noqa: S310 - our own URL
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
