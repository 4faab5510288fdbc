"""`python -m pipeline.cli`: the command line where the `crosscam` script is not on the path."""

from pipeline.cli import main

main()
