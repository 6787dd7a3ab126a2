"""Muon (momentum, then orthogonalised updates) for weight matrices, all matrices of one shape in one batched product.

The workers share the work: each orthogonalises its part of every stack, one exchange brings the parts together.
"""

import torch
import torch.distributed as dist
from torch import Tensor

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)


def orthogonalise(updates: Tensor, steps: int = 5) -> Tensor:
    """Newton-Schulz iteration in bf16 on a stack [n, rows, columns] with rows <= columns: singular values go to about 1."""
    a, b, c = NEWTON_SCHULZ
    x = updates.bfloat16()
    x = x / (x.float().norm(dim=(1, 2), keepdim=True) + 1e-7).bfloat16()
    for _ in range(steps):
        gram = x @ x.transpose(1, 2)
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.float()


class Muon:
    """`lr` is set by the caller before each step; an update has the size of an AdamW update (0.2 sqrt(longer side)).
    Gradients must be equal on all workers."""

    def __init__(self, parameters: list[Tensor], rank: int, workers: int, momentum: float = 0.95, weight_decay: float = 0.05) -> None:
        self.lr, self.momentum, self.weight_decay = 0.0, momentum, weight_decay
        self.rank, self.workers = rank, workers
        self.groups: dict[tuple[int, int], list[Tensor]] = {}
        for parameter in parameters:
            rows, columns = parameter.shape
            self.groups.setdefault((min(rows, columns), max(rows, columns)), []).append(parameter)
        self.buffers = {shape: torch.zeros(len(group[rank::workers]), *shape) for shape, group in self.groups.items()}
        self.exchange = torch.zeros(sum(p.numel() for p in parameters), dtype=torch.float16)

    @torch.no_grad()
    def step(self) -> None:
        self.exchange.zero_()
        offset, stacks = 0, []
        for shape, group in self.groups.items():
            stack = self.exchange[offset : offset + len(group) * shape[0] * shape[1]].view(len(group), *shape)
            offset += stack.numel()
            stacks.append(stack)
            mine = group[self.rank :: self.workers]
            gradients = torch.stack([p.grad if p.shape == shape else p.grad.T for p in mine])
            buffer = self.buffers[shape].lerp_(gradients, 1 - self.momentum)
            stack[self.rank :: self.workers] = orthogonalise(gradients.lerp_(buffer, self.momentum))
        if self.workers > 1:
            dist.all_reduce(self.exchange)
        for (shape, group), stack in zip(self.groups.items(), stacks):
            updates = stack.float() * (0.2 * max(shape) ** 0.5 * self.lr)
            for parameter, update in zip(group, updates):
                parameter.mul_(1 - self.lr * self.weight_decay).sub_(update if parameter.shape == shape else update.T)
