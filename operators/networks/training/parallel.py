"""Several processes that train one network, by paddle.distributed: one a GPU, or a few on CPUs.

Started by `python -m paddle.distributed.launch`, which tells every process who it is by the environment. Every process
learns from a batch of its own; the gradients' mean moves all alike, so a step is worth as many batches as there are
processes. The first one evaluates and writes files.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import paddle
from paddle import Tensor, nn
from paddle import distributed as dist


@dataclass(frozen=True, slots=True)
class Team:
    """Attributes: `rank` of this process, from 0; `size`: processes there are."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """This is the process that evaluates and writes."""
        return self.rank == 0

    def same_start(self, layer: nn.Layer) -> None:
        """Give every process the first one's weights and buffers."""
        if self.size > 1:
            for value in layer.state_dict().values():
                dist.broadcast(value, src=0)

    def average(self, parameters: Sequence[Tensor], losses: Mapping[str, float]) -> dict[str, float]:
        """Make every gradient the mean over the processes, and give the losses' means; one message for all.

        A weight that a process's batch did not reach counts as unmoved there.
        """
        if self.size == 1:
            return dict(losses)
        moved = [one for one in parameters if not one.stop_gradient]
        grads = [paddle.zeros_like(one) if one.grad is None else one.grad for one in moved]
        told = paddle.to_tensor(np.array(list(losses.values()), np.float32))
        flat = paddle.concat([*(grad.flatten() for grad in grads), told])
        dist.all_reduce(flat)
        flat = flat / self.size
        start = 0
        for one in moved:
            count = int(np.prod(one.shape))
            part = flat[start : start + count].reshape(one.shape)
            if one.grad is None:
                (one * part.detach()).sum().backward()  # its gradient is what it is multiplied by
            else:
                one.grad.set_value(part)
            start += count
        return {name: float(value) for name, value in zip(losses, flat[start:].numpy(), strict=True)}

    def told(self, numbers: Mapping[str, float] | None) -> dict[str, float]:
        """The first process's numbers; others give None."""
        if self.size == 1:
            return dict(numbers or {})
        message: list[Any] = [dict(numbers) if numbers is not None else None]
        dist.broadcast_object_list(message, src=0)
        return dict(message[0])

    def wait(self) -> None:
        """Until all processes are here."""
        if self.size > 1:
            dist.barrier()


def join() -> Team:
    """The processes that this one was started with; alone where nothing says so."""
    size = int(os.environ.get("PADDLE_TRAINERS_NUM", "1"))
    if size > 1 and not dist.is_initialized():
        dist.init_parallel_env()
    return Team(int(os.environ.get("PADDLE_TRAINER_ID", "0")), size)


def synchronised(layer: nn.Layer) -> None:
    """Let every batch norm within take its statistics over all processes (GPU only), in place."""
    _replaced(layer, nn.BatchNorm2D, nn.SyncBatchNorm)


def separate(layer: nn.Layer) -> None:
    """Undo `synchronised`, in place: exports and CPUs know no synchronised norms."""
    _replaced(layer, nn.SyncBatchNorm, nn.BatchNorm2D)


def _replaced(layer: nn.Layer, old: type[nn.Layer], new: type[nn.Layer]) -> None:
    for holder in layer.sublayers(include_self=True):
        for name, child in list(holder.named_children()):
            if type(child) is old:
                norm = new(child.weight.shape[0], momentum=child._momentum, epsilon=child._epsilon)
                # The tensors themselves: the optimiser knows them, and an average as well.
                norm.weight, norm.bias = child.weight, child.bias
                norm._mean, norm._variance = child._mean, child._variance
                norm.training = child.training
                setattr(holder, name, norm)
