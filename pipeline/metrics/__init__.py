"""What a running site measures of itself: the metrics, and how they reach whoever collects them."""
