"""The command line: how a command starts and ends, its flags, what it reads and what it writes."""
