"""One module a command, imported when it is called: `netgen --help` starts at once."""
