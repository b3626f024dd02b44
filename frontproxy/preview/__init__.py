"""`frontproxy preview`: who would change pool under another configuration, from the sessions that the journal holds.

command    the command: reads the journal and the new configuration, prints what comes of them
then       the sides of evidence as they were at the moment of a recorded session: it is judged by the same code
changes    who goes where now instead of there, and what that means for good and bad sessions
shown      the same for people to look at, or as JSON
"""
