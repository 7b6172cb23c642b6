"""`portrait18 serve`: a trained ensemble over HTTP."""

import argparse
import importlib.util
import logging
import socket
import sys
import warnings
from contextlib import suppress
from pathlib import Path

from portrait18.core.errors import UserError
from portrait18.server.settings import Settings, add_arguments, settings

DESCRIPTION = """\
Answers for photos over HTTP, with a page to try it at / and a description for programs at /docs. Photos of requests
that come at the same time are worked on together. Nothing of a photo is written or logged, nor its name.
"""
#: Seconds that requests in work get when the server is told to stop.
LAST_REQUESTS = 10


def add_command(commands) -> None:
    """Add `serve` to the sub-parsers of `portrait18.cli`."""
    parser = commands.add_parser(
        "serve", help="answer over HTTP, with a page", description=DESCRIPTION
    )
    parser.set_defaults(run=run)
    add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Serve until told to stop; the exit status.

    Raises:
        UserError: no bundle, a setting that can't be, a taken port.
    """
    chosen = settings(vars(args))
    missing = [
        name
        for name in ("fastapi", "uvicorn", "python_multipart", "prometheus_client")
        if not _there(name)
    ]
    if missing:
        raise UserError(
            f"serving needs {', '.join(missing)}; install portrait18[serve], or run make serve"
        )
    listening = bind(chosen.host, chosen.port)
    import uvicorn  # this and PyTorch take seconds to load: not for --help

    from portrait18.core.device import set_deterministic
    from portrait18.server.app import create_app

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    warnings.filterwarnings("ignore", module="PIL")  # they tell of what stands in photos
    set_deterministic()
    ensemble = load(chosen)
    config = configured(
        create_app(ensemble, chosen, str(ensemble.device), len(ensemble.manifest.networks))
    )
    host, port = listening.getsockname()[:2]
    if not host.startswith("127.") and host != "::1" and chosen.api_key is None:
        print(
            f"warning: {host} lets other machines in, and no key is set (PORTRAIT18_API_KEY)",
            file=sys.stderr,
        )
    print(
        f"http://{f'[{host}]' if ':' in host else host}:{port}/ is the page, /docs for programs; Ctrl-C stops it"
    )
    sys.stdout.flush()
    with suppress(KeyboardInterrupt):  # uvicorn sends itself the signal that it stopped for
        uvicorn.Server(config).run([listening])
    return 0


def configured(app):
    """How an app is served: a `uvicorn.Config`."""
    import uvicorn

    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    logging.getLogger(
        "uvicorn.access"
    ).disabled = True  # it tells whole addresses; `edge` has its own line
    return uvicorn.Config(
        app,
        log_config=None,
        server_header=False,
        lifespan="on",
        timeout_graceful_shutdown=LAST_REQUESTS,
    )


def _there(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def bind(host: str, port: int) -> socket.socket:
    """A socket on an address, so that a taken port shows before the networks are loaded.

    Raises:
        UserError: the address is not this machine's, or the port is taken.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen()  # else a second server could bind the same port until this one's networks are loaded
    except (OSError, UnicodeError) as error:  # a name that no host can have is a UnicodeError
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"can't listen at {host} port {port} ({reason}); set another --host or --port"
        ) from None
    return listening


def load(chosen: Settings):
    """The bundle, having answered once, so that the first request does not wait for what comes with that."""
    import numpy as np

    import portrait18
    from portrait18.deployment import bundle

    if not (Path(chosen.bundle) / bundle.MANIFEST).exists():
        raise UserError(
            f"{chosen.bundle} holds no bundle; make demo makes the demo's, dvc repro that of your own data,"
            " --bundle FOLDER names another"
        )
    ensemble = portrait18.load(chosen.bundle, min_face=chosen.min_face)
    ensemble.detect([np.full((512, 384, 3), 127, np.uint8)])
    ensemble.classify(np.zeros((1, ensemble.crop_size, ensemble.crop_size, 3), np.uint8))
    return ensemble
