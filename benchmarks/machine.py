"""What the machine can do: the limit that the tables are a share of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.timing import interleaved_medians


@dataclass(frozen=True)
class Limit:
    """Measured rates of one thread: single-precision multiply-adds in a large matrix product, and exp2."""

    flops: float
    exponentials: float

    def seconds(self, n_products: float, n_exponentials: float) -> float:
        """Least time for so many multiply-add pairs and exponentials on one thread."""
        return 2 * n_products / self.flops + n_exponentials / self.exponentials


def measure() -> Limit:
    """Measure both."""
    rng = np.random.default_rng(0)
    size, n = 2048, 1 << 16
    matrix = rng.standard_normal((size, size)).astype(np.float32)
    exponents = rng.uniform(-50, 0, n).astype(np.float32)
    product, power = np.empty_like(matrix), np.empty_like(exponents)
    with threadpool_limits(1):
        times = interleaved_medians(
            {
                "product": lambda: np.matmul(matrix, matrix, out=product),
                "exp2": lambda: [np.exp2(exponents, out=power) for _ in range(64)],
            },
            rounds=7,
        )
    return Limit(2.0 * size**3 / times["product"], 64 * n / times["exp2"])
