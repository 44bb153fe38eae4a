"""How fast a client may ask: a token bucket, as `--kube-api-qps` and `--kube-api-burst` mean it. Pure."""

from __future__ import annotations


class TokenBucket:
    """Allows `burst` requests at once and `qps` a second after that. One loop, no lock."""

    def __init__(self, qps: float, burst: int) -> None:
        self._qps = qps
        self._burst = max(burst, 1)
        self._tokens = float(self._burst)
        self._filled_at: float | None = None

    def reserve(self, now: float) -> float:
        """Take one token and return how many seconds to wait until it is ours; callers queue up.

        A rate of zero or less means no limit, as in client-go.
        """
        if self._qps <= 0:
            return 0.0
        elapsed_s = 0.0 if self._filled_at is None else max(0.0, now - self._filled_at)
        self._filled_at = now
        self._tokens = min(self._burst, self._tokens + elapsed_s * self._qps) - 1.0
        return max(0.0, -self._tokens / self._qps)
