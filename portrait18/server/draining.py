"""A uvicorn server that answers every request it accepted before it stops.

uvicorn closes idle connections as soon as it gets SIGTERM. A request that is on its way on
such a connection, or on one that the kernel has accepted but uvicorn has not, is then lost.
"""

import asyncio
import logging
import socket
import time

import uvicorn
from fastapi import FastAPI

log = logging.getLogger(__name__)

#: Seconds in which idle connections may still bring a request that is on its way.
IDLE_SECONDS = 1.0
_POLL_SECONDS = 0.02


class DrainingServer(uvicorn.Server):
    """Stops in this order: no new connections, responses with `Connection: close`, the end.

    Args:
        config: how uvicorn serves the app.
        app: its `state.draining` becomes True when the server stops accepting connections.
    """

    def __init__(self, config: uvicorn.Config, app: FastAPI):
        super().__init__(config)
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting connections, answer the requests of those accepted, then stop."""
        await self._close_listeners(sockets or [])
        # Not before: clients whose connection is closed open another one.
        self._app.state.draining = True
        log.info("stopping", extra={"fields": {"connections": len(self.server_state.connections)}})
        deadline = time.monotonic() + IDLE_SECONDS
        while self.server_state.connections and time.monotonic() < deadline:
            await asyncio.sleep(_POLL_SECONDS)
        await super().shutdown(sockets)
        log.info("stopped")

    async def _close_listeners(self, sockets: list[socket.socket]) -> None:
        """Accept the connections in the kernel's queue and close the listening sockets."""
        loop = asyncio.get_running_loop()
        for listener in sockets:
            loop.remove_reader(listener)
        # Connections that asyncio has just accepted get their transports while servers are open.
        await asyncio.sleep(0)
        queued = [connection for listener in sockets for connection in _accept_all(listener)]
        for server in self.servers:
            server.close()
        for connection in queued:
            await loop.connect_accepted_socket(self._protocol, connection)

    def _protocol(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )


def _accept_all(listener: socket.socket) -> list[socket.socket]:
    connections = []
    while True:
        try:
            connections.append(listener.accept()[0])
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return connections
