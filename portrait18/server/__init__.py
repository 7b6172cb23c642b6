"""A trained ensemble over HTTP, and a page that uses it: `portrait18 serve`, `make serve`.

settings    flags and environment variables    app         the routes
uploads     the photos out of a request's body answering   from uploads to answers
limits      what is let in, and how much       batching    photos of many requests, answered together
problems    what every refusal looks like      replies     what an answer looks like
edge        headers and the log line           telemetry   what /metrics tells
static      serves page/: the page at /, and /docs
command     portrait18 serve
"""
