"""`portrait18 serve`: serve a trained bundle over HTTP."""

from __future__ import annotations

import argparse
import logging
import math
import os
import socket
import sys
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING

from portrait18.core.errors import UserError, printable
from portrait18.deployment.bundle import MANIFEST, OWN, choose, title
from portrait18.server.settings import Settings, add_arguments, load_settings, unknown_variables

if TYPE_CHECKING:
    import uvicorn
    from fastapi import FastAPI

    from portrait18.deployment.predictor import Predictor

DESCRIPTION = """\
Predicts photos over HTTP, with a web page at / and an API reference at /docs. Photos of concurrent
requests share a batch. Photos and their names are neither written to disk nor logged.
"""
#: Seconds that an idle connection stays open. Proxies close theirs first (nginx after 60 s), so
#: that no request is sent on a connection that the server is about to close.
KEEP_ALIVE_SECONDS = 75
#: Seconds for responses to be sent, in addition to the limits of upload and prediction.
SEND_SECONDS = 5


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `serve` to the sub-parsers of `portrait18.cli`."""
    parser = commands.add_parser(
        "serve", help="serve predictions over HTTP, with a web page", description=DESCRIPTION
    )
    parser.set_defaults(run=run)
    add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Serve until interrupted; return the exit status.

    Raises:
        UserError: no bundle, an invalid setting, or a port in use.
    """
    settings = load_settings(vars(args))
    for line in unknown_variables(os.environ):
        print(f"warning: {printable(line)}", file=sys.stderr)
    listener = bind(settings.host, settings.port)
    # Like PyTorch, these take too long to load for --help.
    from portrait18.deployment import engines
    from portrait18.server import logs
    from portrait18.server.app import create_app
    from portrait18.server.draining import DrainingServer
    from portrait18.server.model_card import model_card

    logs.configure()
    warnings.filterwarnings("ignore", module="PIL")  # its warnings quote the photos' metadata
    engines.prepare(settings.engine)
    predictor = load(settings)
    card = model_card(predictor.manifest, settings.min_face)
    device = str(predictor.device or "cpu (ONNX Runtime)")
    app = create_app(predictor, settings, card, device)
    _print_address(listener, settings)
    chosen = title(choose(settings.bundle))
    print(f"{chosen}: {predictor.manifest.description()}", flush=True)
    with suppress(KeyboardInterrupt):  # uvicorn raises the signal that stopped it once more
        DrainingServer(uvicorn_config(app, settings), app).run([listener])
    return 0


def _print_address(listener: socket.socket, settings: Settings) -> None:
    host, port = listener.getsockname()[:2]
    if not host.startswith("127.") and host != "::1" and settings.api_key is None:
        print(
            f"warning: {host} accepts other machines and no key is set (PORTRAIT18_API_KEY)",
            file=sys.stderr,
        )
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}/"
    print(f"{url} is the web page, {url}docs the API reference; Ctrl-C stops the server")
    sys.stdout.flush()


def uvicorn_config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """Return how uvicorn serves an app."""
    import uvicorn

    # uvicorn logs client addresses and full URLs; the middleware logs one line of its own.
    logging.getLogger("uvicorn.access").disabled = True
    longest = settings.upload_timeout_s + settings.timeout_s + SEND_SECONDS
    return uvicorn.Config(
        app,
        log_config=None,
        server_header=False,
        lifespan="on",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=math.ceil(longest),
    )


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket, so that a port in use is reported before the networks load.

    Raises:
        UserError: the address does not belong to this machine, or the port is in use.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        # Listen now: else a second server could bind the same port while the networks load.
        listener.listen()
    except (OSError, UnicodeError) as error:  # UnicodeError: not a valid host name
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"can't listen at {host} port {port} ({reason}); set another --host or --port"
        ) from None
    return listener


def load(settings: Settings) -> Predictor:
    """Load the bundle and run it once, so that the first request does not pay for warm-up."""
    import numpy as np

    import portrait18

    folder = choose(settings.bundle)
    if not (folder / MANIFEST).exists() and not folder.is_file():
        raise UserError(
            f"{folder} holds no bundle; run dvc repro export, name another with --bundle FOLDER, or"
            f" remove {OWN} for the starter model"
        )
    predictor = portrait18.load(folder, min_face=settings.min_face, engine=settings.engine)
    predictor.detect([np.full((512, 384, 3), 127, np.uint8)])
    predictor.classify(np.zeros((1, predictor.crop_size, predictor.crop_size, 3), np.uint8))
    return predictor
