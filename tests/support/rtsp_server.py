"""A real RTSP server (GStreamer's) that plays a clip at its own speed; run by the system's Python.

    python3 rtsp_server.py CLIP PORT [--damaged] [USER PASSWORD]

Port 0 takes a free one. The port is printed once the server listens; the stream is at /live, and the same at /damaged
with half of the bytes of every fifth picture overwritten. With --damaged it is so at /live, too.
"""

import itertools
import random
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

Gst.init(None)
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(sys.argv[2])
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(f"( filesrc location={sys.argv[1]} ! qtdemux ! rtph264pay name=pay0 pt=96 config-interval=-1 )")
all_damaged = "--damaged" in sys.argv
user = [word for word in sys.argv[3:] if word != "--damaged"]
if user:
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(*user), token)
    server.set_auth(auth)
    factory.add_role_from_structure(
        Gst.Structure.from_string("viewer,media.factory.access=(boolean)true,media.factory.construct=(boolean)true")[0]
    )


def prepare(factory, media):
    """Overwrite bytes of every fifth picture, but not the lengths in front of them, which the payloader goes by."""
    numbers, chance, ours = itertools.count(), random.Random(1), set()

    def damage(pad, info):
        buffer = info.get_buffer()
        if buffer.pts in ours or next(numbers) % 5 != 4 or buffer.get_size() < 10:
            return Gst.PadProbeReturn.OK
        data = bytearray(buffer.extract_dup(0, buffer.get_size()))
        for at in chance.sample(range(8, len(data)), (len(data) - 8) // 2):
            data[at] ^= 0x5A
        broken = Gst.Buffer.new_wrapped(bytes(data))
        broken.pts, broken.dts, broken.duration = buffer.pts, buffer.dts, buffer.duration
        ours.add(broken.pts)  # it comes by here as well
        pad.push(broken)
        return Gst.PadProbeReturn.DROP

    pad = media.get_element().get_by_name("wire").get_static_pad("src")
    pad.add_probe(Gst.PadProbeType.BUFFER, damage)


damaged = GstRtspServer.RTSPMediaFactory()
damaged.set_launch(
    f"( filesrc location={sys.argv[1]} ! qtdemux ! identity name=wire ! rtph264pay name=pay0 pt=96 config-interval=-1 )"
)
damaged.connect("media-configure", prepare)
server.get_mount_points().add_factory("/damaged", damaged)
server.get_mount_points().add_factory("/live", damaged if all_damaged else factory)
if server.attach(None) == 0:
    sys.exit("the port is taken")
print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()
