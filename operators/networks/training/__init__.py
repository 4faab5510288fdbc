"""Fitting networks to labelled pictures. Nothing here is needed at run time."""
