"""Serve a trained ensemble over HTTP, with a page to try it.

python -m portrait18.server --port 8000
"""

import argparse
import logging
import socket
import sys
import warnings
from contextlib import suppress

import numpy as np
import uvicorn

from portrait18 import bundle as bundles
from portrait18.bundle import MANIFEST
from portrait18.device import device, reproducible
from portrait18.errors import UserError, one_line_errors
from portrait18.server.app import create_app
from portrait18.server.settings import Settings, add_arguments, settings

#: Seconds that requests in work get when the server is told to stop.
_LAST_REQUESTS = 10


def bind(host: str, port: int) -> socket.socket:
    """A socket on an address, so that a taken port shows before the networks are loaded.

    Raises:
        UserError: the address is not this machine's, or the port is taken.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError as error:
        raise UserError(
            f"can't listen on {host} port {port} ({error.strerror}); choose another --host or --port"
        ) from None
    return listening


def load(chosen: Settings, where) -> bundles.Bundle:
    """The bundle, having answered once, so that the first request does not wait for it."""
    try:
        ensemble = bundles.load(chosen.bundle, where, chosen.min_face)
    except UserError:
        if (bundles.Path(chosen.bundle) / MANIFEST).exists():
            raise
        raise UserError(
            f"{chosen.bundle} holds no bundle; make demo makes the demo's, dvc repro that of your data, --bundle names another"
        ) from None
    ensemble.crops([np.full((512, 384, 3), 127, np.uint8)])
    ensemble.answers(np.zeros((1, ensemble.size, ensemble.size, 3), np.uint8))
    return ensemble


def serve(arguments: argparse.Namespace) -> None:
    """Serve until told to stop.

    Raises:
        UserError: no bundle, a setting that can't be, a taken port.
    """
    chosen = settings(vars(arguments))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module="PIL")  # they tell of what stands in photos
    listening = bind(chosen.host, chosen.port)
    host, port = listening.getsockname()[:2]
    where = device()
    reproducible()
    ensemble = load(chosen, where)
    if not host.startswith("127.") and host != "::1" and chosen.api_key is None:
        print(f"warning: {host} is open to other machines and no key is set (PORTRAIT18_API_KEY)", file=sys.stderr)
    config = uvicorn.Config(
        create_app(ensemble, chosen, str(where), len(ensemble.manifest.networks)),
        log_config=None,
        access_log=False,  # it writes down whole addresses; `edge` has its own line
        server_header=False,
        lifespan="on",
        timeout_graceful_shutdown=_LAST_REQUESTS,
    )
    shown = f"[{host}]" if ":" in host else host
    print(f"http://{shown}:{port}/  the page; /docs the interface. Stop with Ctrl-C.", flush=True)
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run([listening])


@one_line_errors
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m portrait18.server", description=__doc__)
    add_arguments(parser)
    serve(parser.parse_args(argv))


if __name__ == "__main__":
    main()
