"""Sans-IO codecs: bytes or JSON in, values out. No sockets, and no state of a cluster."""
