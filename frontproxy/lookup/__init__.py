"""Looking clients up in the DNS: a program of its own asks (`program`), the desk in the proxy decides what and keeps it."""
