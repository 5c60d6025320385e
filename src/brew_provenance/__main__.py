"""`python -m brew_provenance` is `brew-provenance`."""

from brew_provenance.cli import main

if __name__ == "__main__":
    main()
