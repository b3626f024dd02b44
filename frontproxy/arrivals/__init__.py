"""How connections come in: straight from a client, behind a PROXY header, or as a descriptor that postscreen passes.

arrival    a connection whose client is known
proxied    reads the PROXY header that a trusted proxy sends
passed     receives a client's descriptor over a UNIX socket
entrance   waits, within bounds, until it is known who has come, and lets the client in
"""
