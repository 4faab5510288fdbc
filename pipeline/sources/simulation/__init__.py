"""A simulated site: places with walls, people or vehicles on their way, cameras that see them as detectors would.

`settings` says what a source's text may say, `plan` where everything stands, `visits` who is where at any time,
`pinhole` how it looks through a lens, `sight` what a camera sees of it and what a detector makes of that, `looks` how
telling embeddings are. `site` puts them together and `camera` makes a source of it.

Everything is a function of the settings and of time: any moment can be had without those before it, by any process.
"""
