"""`python -m stepnav`, for torchrun."""

from stepnav.cli.main import main

if __name__ == "__main__":
    main()
