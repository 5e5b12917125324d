"""``python -m perceptrain``: the command line."""

from perceptrain_core.cli.main import main

main()
