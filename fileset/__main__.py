"""`python -m fileset` is the `fileset` command."""

from fileset.cli import main

if __name__ == "__main__":
    main(prog_name="fileset")
