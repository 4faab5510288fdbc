"""Where each quantity of a track or a detection lies in the arrays of the core.

Tracks are columns: `floats` is (FLOATS, capacity) float64 and `ints` is (INTS, capacity) int64, so that a quantity of
all tracks is one contiguous row. Live tracks are the columns [0, counters[COUNT]), oldest first. Detections of the
current frame are columns of `dets` (DETECTION_FLOATS, M) float64 and `labels` (DETECTION_INTS, M) int64. Beside them
stand `votes` (capacity, classes) float64, sums of scores by class, and `embeds` (capacity, width) float32, appearance.

A motion state is four independent (position, velocity) pairs: the filters of all strategies here have diagonal noise
and observe each position alone, so the 8 x 8 covariance is four 2 x 2 blocks, and stays so.
"""

# Rows of floats.
POS = 0  # four positions: see `boxes.XYAH` and its siblings for what they are
VEL = 4  # their velocities, a reference frame
PP = 8  # variance of position
PV = 12  # covariance of position and velocity
VV = 16  # variance of velocity
BOX = 20  # x1 y1 x2 y2 of the motion state, pixels
SEEN = 24  # x1 y1 x2 y2 of the last matched detection, pixels
SCORE = 28  # of the last matched detection
UNSEEN = 29  # time since that match, reference frames
EXTRA = 30  # rows of the strategy's own begin here

# Rows of ints.
ID = 0
STATE = 1  # operators.records.TrackState
CLASS = 2
GROUP = 3  # association group: tracks and detections meet only within one
HITS = 4  # matches in a track's life, the first detection included
AGE = 5  # frames since the track began
STREAK = 6  # consecutive matches
ROW = 7  # the matched detection's row in the caller's arrays, -1 where unmatched
FIRST = 8  # number of the frame in which the track began
LAST = 9  # number of the frame of the last match
FLAG = 10  # the strategy's own
INTS = 11

# Rows of dets and labels.
DBOX = 0
DPOS = 4  # the box as a measurement of the four positions
DSCORE = 8
DETECTION_FLOATS = 9
DROW = 0
DCLASS = 1
DGROUP = 2
DETECTION_INTS = 3

# Entries of counters, the tracker's counters.
COUNT = 0  # live tracks
NEXT_ID = 1
FRAME = 2
REJECTED = 3  # first of the counts in REASONS' order
REASONS = (
    "box not finite",
    "box without area",
    "score outside 0 to 1",
    "class out of range",
    "embedding not usable",
    "time stood still",
    "time ran backwards",
    "clock restarted",
    "foot above the horizon",
)
NOT_FINITE, NO_AREA, BAD_SCORE, BAD_CLASS, BAD_EMBEDDING, TIME_STILL, TIME_BACK, TIME_RESTART, NO_GROUND = range(
    len(REASONS)
)
COUNTERS = REJECTED + len(REASONS)

# Values of ints[STATE], as plain numbers for compiled code.
TENTATIVE = 0
CONFIRMED = 1
LOST = 2
