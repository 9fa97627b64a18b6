# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a backend that died is started anew."""

from __future__ import annotations

from ..contract.errors import ErrorCode, MienError
from .capture import MOST_RESTARTS


class Recovery:
    """Counts deaths for which no capture is to blame; captures count those that are theirs."""

    def __init__(self) -> None:
        self._deaths = 0

    def explained(self) -> None:
        """The backend loaded its models, or the last death was a capture's fault: it does not die at every start."""
        self._deaths = 0

    def may_restart(self, error: MienError, welcomed: bool) -> bool:
        """Whether the backend shall be started anew.

        Args:
            error: Why it is gone.
            welcomed: Whether it ever answered; one that did not even at its first start will not do so at its second.
        """
        if error.code is not ErrorCode.BACKEND_DIED or not (welcomed or self._deaths):
            return False
        self._deaths += 1
        return self._deaths <= MOST_RESTARTS
