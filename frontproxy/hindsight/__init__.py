"""Learning from mail logs of the past: `frontproxy learn LOG...`.

command    the command: chooses a way, shows what comes of it
  reading  a program of its own: reads the logs in order, writes events and batches of sessions to its output
    order    which log comes first          unpack   octets of a log, whatever it was packed with
    names    names in logs as history knows them
  reader   the command's end of that program
  ways     how sessions are learned: by_proxy (the running proxy learns them), by_hand (we have the history file)
  tally    what was found, by file          progress a bar, or a line now and then          shown    the table
"""
