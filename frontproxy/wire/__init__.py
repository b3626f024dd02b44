"""Pure codecs: bytes in, values out. The only part of frontproxy that backends share."""
