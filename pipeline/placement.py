"""Which worker has which cameras, and how that goes on when cameras come and go."""

from __future__ import annotations

from collections.abc import Collection, Sequence

Shard = tuple[str, ...]


def shards_of(cameras: Sequence[str], size: int) -> list[Shard]:
    """The cameras of each worker, at most `size` of them."""
    return [tuple(cameras[i : i + size]) for i in range(0, len(cameras), size)]


def after_changes(shards: Sequence[Shard], removed: Collection[str], added: Sequence[str], size: int) -> list[Shard]:
    """The same workers with other cameras: who stays keeps his worker, and new ones fill up the others before they get
    workers of their own.

    Args:
        shards: cameras of each worker so far.
        size: how many a worker may have.
    """
    waiting = list(added)
    after = []
    for shard in shards:
        staying = tuple(camera for camera in shard if camera not in removed)
        free = max(size - len(staying), 0)
        after.append((*staying, *waiting[:free]))
        waiting = waiting[free:]
    return after + shards_of(waiting, size)
