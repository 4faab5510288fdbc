"""The service over a site: REST, live tracks by WebSocket, and the page. It reads a ledger, beside the run.

view, known   what a ledger says, folded into memory as it is read
feed          threads that read the topics into a view, and the ring that watchers read from
shots         pictures from the cameras' recordings
app           the ASGI application, of the routers beside it
"""
