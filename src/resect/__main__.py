"""`python -m resect`: the command line, where its script is not on the path."""

from resect.cli.main import entry

if __name__ == "__main__":
    entry()
