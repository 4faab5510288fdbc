"""Where frames come from: video, detections made elsewhere, simulated cameras.

`base` is the contract, `factory.open_source` makes a source of what stands under `source:` in a site's file.
"""
