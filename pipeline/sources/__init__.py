"""Where frames come from: video, detections made elsewhere, simulated cameras."""
