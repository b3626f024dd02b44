"""Servers that stand behind the front door. `README.md` beside this file is the contract any of them keeps."""
