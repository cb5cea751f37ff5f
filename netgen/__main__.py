"""`python -m netgen`: the command line where `netgen` itself is not on the path."""

from netgen.commands.cli import main

if __name__ == "__main__":
    main(prog_name="netgen")
