"""Muon (momentum, then orthogonalised updates) for weight matrices, with all matrices of one shape in one batched product."""

import torch
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
    """`lr` is set by the caller before each step; an update has the size of an AdamW update (0.2 sqrt(longer side))."""

    def __init__(self, parameters: list[Tensor], momentum: float = 0.95, weight_decay: float = 0.05) -> None:
        self.lr, self.momentum, self.weight_decay = 0.0, momentum, weight_decay
        self.groups: dict[tuple[int, int], list[Tensor]] = {}
        for parameter in parameters:
            rows, columns = parameter.shape
            self.groups.setdefault((min(rows, columns), max(rows, columns)), []).append(parameter)
        self.buffers = {shape: torch.zeros(len(group), *shape) for shape, group in self.groups.items()}

    @torch.no_grad()
    def step(self) -> None:
        for shape, group in self.groups.items():
            lying = [p.shape == shape for p in group]
            gradients = torch.stack([p.grad if flat else p.grad.T for p, flat in zip(group, lying)])
            buffer = self.buffers[shape].lerp_(gradients, 1 - self.momentum)
            updates = orthogonalise(gradients.lerp_(buffer, self.momentum)) * (0.2 * max(shape) ** 0.5 * self.lr)
            for parameter, update, flat in zip(group, updates, lying):
                parameter.mul_(1 - self.lr * self.weight_decay).sub_(update if flat else update.T)
                parameter.grad = None
