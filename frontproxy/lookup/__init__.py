"""Looking clients up in the DNS: a program of its own asks; the desk, in the proxy, decides what, and keeps answers."""
