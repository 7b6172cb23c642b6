"""Serve a trained bundle over HTTP, with a web page: `portrait18 serve`, `make serve`.

settings    flags and environment variables    app         create_app
uploads     multipart form parsing             routes      /predict, /model, /health, /metrics
limits      what is accepted, and how much     service     from uploads to predictions
problems    error responses (RFC 9457)         batching    joins photos of concurrent requests
middleware  headers and the log line           schemas     the JSON of a response
model_card  the facts of /model                pages       the web page, from static/
logs        JSON lines and request IDs         draining    stops without losing a request
command     `portrait18 serve`                 telemetry   Prometheus metrics
"""
