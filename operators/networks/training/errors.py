"""What can go wrong in training, for people."""

from operators.records import CrosscamError


class TrainingError(CrosscamError):
    """Labels, pictures or settings that cannot be trained on, or a training that went astray."""
