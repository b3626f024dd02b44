"""Looking clients up in the DNS."""
