"""Pure decisions: no I/O, no clock, no chance. Time comes in as `now` (seconds), so all of it can be replayed."""
