"""The bundled smtpd: a small SMTP server with manners that can be chosen for each session.

How the files fit together, from the bottom up:

    replies      one reply and its bytes; the client's mistakes, which carry their reply
    lines data   bytes in, command lines or message content out
    commands     what MAIL and RCPT say: addresses and parameters
    recipients   which addresses are ours
    personality  how patient we are: one frozen value, built in layers
    tally        what a session has done, counted as an outcome line counts it
    protocol     a table of state x command: bytes in, events out, no I/O
    pace         until when a client must have said its next word
    delivery     one message into a Maildir
    session      the protocol on a stream, with the clock and the disk
    handover     sessions that arrive as descriptors
    server       accepting, draining, the one guard that catches everything
    report log   outcome lines to the parent, log lines that never block
    settings     the [smtpd] table, and every mistake in it
"""
