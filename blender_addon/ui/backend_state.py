# SPDX-License-Identifier: GPL-3.0-or-later
"""The backend as the panel sees it: its state, and how it is started."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from ..client.events import ClientState
from ..client.jobs import Client
from ..contract.errors import ErrorCode, MienError
from ..contract.messages import Models
from ..contract.places import logs_dir
from .settings import client_settings, network_problem, preferences, used_record

_FRESH_SECONDS = 20.0
"""For how long what the backend told of its models is taken to be so."""


class Backend:
    """The backend of this Blender.

    Args:
        watch: Makes sure that the session is pumped from now on.

    Attributes:
        error: The last error, until the next capture or until it is cleared.
    """

    def __init__(self, watch: Callable[[], None]) -> None:
        self._client: Client | None = None
        self._models_asked = time.monotonic()
        self._watch = watch
        self.error: MienError | None = None

    @property
    def present_client(self) -> Client | None:
        """The client, if there is one already."""
        return self._client

    @property
    def client_state(self) -> ClientState:
        """State of the backend."""
        if self._client is None:
            return ClientState.FAILED if self._problem() else ClientState.STOPPED
        return self._client.state

    @property
    def client_error(self) -> MienError | None:
        """Why the backend is not there."""
        return self._client.error if self._client else self._problem()

    @property
    def phrase(self) -> str:
        """The state line."""
        if problem := self.client_error:
            phrase = problem.message.rstrip(".").removeprefix("The backend is ").removeprefix("The ")
            return phrase[:1].upper() + phrase[1:]
        if self._client is None or self._client.state is ClientState.STOPPED:
            return "Starts when needed"
        return self._client.message

    @property
    def models(self) -> Models:
        """The engines and heads that the backend told of."""
        return self._client.models if self._client else Models((), (), ())

    def list_models(self) -> None:
        """Ask which engines and heads there are; starts the backend if needed. They stand in `models` soon after.

        Raises:
            MienError: NO_NETWORK when Blender may not talk to the remote backend.
        """
        client = self.client()
        self._models_asked = time.monotonic()
        client.start()
        client.list_models()
        self._watch()

    def keep_models_fresh(self) -> None:
        """Ask again after a while: files may have been added outside Blender. Starts nothing, waits for nothing."""
        now = time.monotonic()
        if self._client is not None and self.models.engines and now - self._models_asked > _FRESH_SECONDS:
            self._models_asked = now
            self._client.list_models()

    @property
    def log_file(self) -> Path:
        """The backend's log."""
        return self._client.log_file if self._client else logs_dir() / "backend.log"

    @staticmethod
    def _problem() -> MienError | None:
        """What stands in the way before anything was started."""
        try:
            if preferences().use_remote:
                return network_problem()
            if used_record():
                return None
        except MienError as error:
            return error
        message = "The backend is not installed."
        return MienError(ErrorCode.SETUP_FAILED, message, "The add-on's preferences say how to install it.")

    def client(self) -> Client:
        """The client, made at first use.

        Raises:
            MienError: NO_NETWORK when Blender may not talk to the remote backend.
        """
        if self._client is None:
            self._client = Client(client_settings())
        return self._client

    def start(self) -> None:
        """Start the backend or connect to it.

        Raises:
            MienError: NO_NETWORK when Blender may not talk to the remote backend.
        """
        self.error = None
        self.client().start()
        self._watch()

    def restart(self) -> None:
        """Start the backend anew, with the present preferences.

        Raises:
            MienError: NO_NETWORK when Blender may not talk to the remote backend.
        """
        self.error = None
        if self._client is not None:
            self._client.restart()
        else:
            self.client().start()
        self._watch()
