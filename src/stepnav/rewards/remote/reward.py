"""A reward model behind a server, which gives the numbers that it gives in this process.

The model's family is told by its config and tokenizer, which lie here; the server has the weights.
On connect the family's routes are tried on one short solution, and the first that answers is taken.
What was scored is remembered, so that the server is asked for the new steps of a solution only.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stepnav.core.backend import Answer
from stepnav.core.budget import Usage
from stepnav.core.errors import BackendDown, BackendError, BackendTimeout, ConfigError, one_line
from stepnav.core.records import Problem, Step, Trajectory
from stepnav.core.requests import Request, Score
from stepnav.engine.checkpoint.hub import fetch_settings, is_hub_name
from stepnav.engine.checkpoint.loading import (
    context_length,
    load_structure,
    load_tokenizer,
    num_parameters,
    require_torch,
)
from stepnav.engine.row import Row
from stepnav.remote.body import PROVIDER
from stepnav.remote.connection import Connection, HttpFailure, with_version
from stepnav.remote.options import ServerOptions
from stepnav.remote.queue import CallsToServer
from stepnav.rewards.families.recognise import FAMILIES, read_checkpoint, recognise
from stepnav.rewards.local.family import Family
from stepnav.rewards.local.step_reader import Probs, Reading, StepReader
from stepnav.rewards.remote.routes import ROUTES, Route, Source

if TYPE_CHECKING:
    import httpx

MAX_KEPT = 65536
"""Outputs that are remembered."""

TRIAL = Trajectory(Problem("trial", "1 + 1 = ?"), (Step("1 + 1 = 2."), Step("It is 2.")))
REFUSALS = frozenset({400, 404, 405, 422, 500, 501})
"""What a server may answer that has no such route, or takes no token ids."""


class RemoteReward(CallsToServer):
    """Scores steps with a model on a server.

    Args:
      base_url: for instance "http://localhost:8001"; "/v1" is added to it.
      tokenizer: folder or hub name with the model's config and tokenizer; None takes the model's
        name on the server for one.
      model: the model's name there; None takes the only one that the server has.
      family: key of `FAMILIES`; None tells it by the config.
      server: key, limits of time and traffic.
      transport: replaces the network, for tests.
    Raises:
      ConfigError: an argument is wrong, the server has no route to such scores, or a part of
        stepnav is not installed.
      BackendError: the server cannot be reached.
    """

    def __init__(
        self,
        base_url: str,
        *,
        tokenizer: str | None = None,
        model: str | None = None,
        family: str | None = None,
        server: ServerOptions | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        connection = Connection(with_version(base_url), model, server or ServerOptions(), transport)
        super().__init__(connection, "reward model on a server")
        self._known: dict[bytes, Probs] = {}
        try:
            self._call(self._meet())
            name = connection.model or ""
            folder = settings_folder(tokenizer, name)
            kind = FAMILIES[family or recognise(read_checkpoint(folder, name))]
            if kind.served is None:
                raise ConfigError(
                    f"no server gives the scores of a {kind.noun} (a value head); open it in this "
                    "process, with --reward FOLDER"
                )
            structure = skeleton(kind, folder)
            words = load_tokenizer(folder, has_weights=False)
            reader = kind.reader(structure, words, kind.format(folder, structure.config))
            assert isinstance(reader, StepReader), "what is served is read step by step"
            self.num_parameters = num_parameters(structure)
            limits = [context_length(structure), connection.models.get(name)]
            if kind.served == "labels" and limits[1] is not None:
                limits[1] -= 1  # the label needs a place too
            self._context = min((limit for limit in limits if limit is not None), default=None)
            self._reader = reader
            self._source = Source(connection, words, reader.read)
            routes = ROUTES[kind.served]
            self.route = self._call(self._choose(routes, reader.reading(TRIAL)))
            self._source.is_trial = False
            self._fetch = routes[self.route]
        except BaseException:
            self.close()
            raise

    def submit(self, ticket: int, request: Request) -> None:
        """Take a `Score`; returns at once."""
        if not isinstance(request, Score):
            raise TypeError(f"a reward model cannot answer {type(request).__name__}")
        reading: Reading | BackendError
        try:
            reading = self._reader.reading(request.trajectory)
            if reading.rows:
                reading.check_length(self._context)
        except BackendError as error:
            reading = error
        self._start(ticket, self._answer(reading))

    def token_bound(self, request: Request) -> int:
        """Return the tokens that are read: more never are; 0 if it will be refused."""
        assert isinstance(request, Score), "a reward model bounds score requests only"
        try:
            return self._reader.reading(request.trajectory).totals[-1]
        except BackendError:
            return 0

    async def _answer(self, reading: Reading | BackendError) -> Answer:
        if isinstance(reading, BackendError):
            raise reading
        if not reading.rows:
            return Answer((), Usage(reward_calls=1))
        for row in reading.rows:
            keys = {at: _key(row, at) for at in row.wanted}
            row.outputs = {at: self._known[key] for at, key in keys.items() if key in self._known}
        await self._complete([r for r in reading.rows if len(r.outputs) < len(r.wanted)])
        scores = self._reader.scores(reading.rows)
        self._remember(reading.rows)
        tokens, rate = reading.totals[-1], 2 * self.num_parameters
        usage = Usage(reward_calls=1, reward_tokens=tokens, flops=rate * tokens)
        return Answer(scores, usage, reading.totals, rate)

    async def _complete(self, rows: Sequence[Row]) -> None:
        """Ask for the outputs that rows still want."""
        if not rows:
            return
        missing = [tuple(at for at in row.wanted if at not in row.outputs) for row in rows]
        asked = [(row.tokens, positions) for row, positions in zip(rows, missing)]
        found = await self._fetch(self._source, asked)
        for row, positions, probs in zip(rows, missing, found):
            row.outputs.update(zip(positions, probs))

    def _remember(self, rows: Sequence[Row]) -> None:
        if len(self._known) > MAX_KEPT:
            self._known.clear()
        for row in rows:
            self._known.update((_key(row, at), row.outputs[at]) for at in row.wanted)

    async def _meet(self) -> None:
        connection = self._connection
        await connection.open()
        await connection.meet()
        if not connection.models:
            raise BackendDown(
                f"{connection.base_url} is no model server: GET /models lists no models; give the "
                "address of vLLM, llama-server or SGLang",
                provider=PROVIDER,
            )
        if connection.model not in connection.models:
            raise ConfigError(
                f"the reward server has no model {connection.model!r}; its models are "
                f"{', '.join(list(connection.models)[:8])} (--reward-model)"
            )

    async def _choose(self, routes: Mapping[str, Route], trial: Reading) -> str:
        """Return the first route that answers.

        Raises:
          ConfigError: none does; says what each answered.
        """
        asked = [(row.tokens, row.wanted) for row in trial.rows]
        said = []
        for name, route in routes.items():
            try:
                await route(self._source, asked)
                return name
            except HttpFailure as failure:
                error = self._connection.error_of(failure)
                if failure.status not in REFUSALS:
                    raise error from None
                said.append(f"{name}: HTTP {failure.status}")
            except (BackendDown, BackendTimeout):
                raise
            except BackendError as error:
                said.append(f"{name}: {error}")
        raise ConfigError(
            f"{self._connection.base_url} does not give this reward model's scores ("
            f"{'; '.join(said)}); docs/servers.md says how each kind of model is served"
        )


def _key(row: Row, position: int) -> bytes:
    """Return what stands for the tokens up to a position: a digest, since texts are long."""
    tokens = array("q", row.tokens[: position + 1])
    return blake2b(tokens.tobytes(), digest_size=16).digest()


def settings_folder(named: str | None, model: str) -> Path:
    """Return the folder with a model's config and tokenizer.

    Args:
      named: a folder or a hub name, as the user gave it; None takes the model's own name for one.
      model: its name on the server, which vLLM takes from the folder or the hub.
    Raises:
      ConfigError: there is none.
    """
    name = model if named is None else named
    if Path(name).is_dir():
        return Path(name)
    if is_hub_name(name):
        return fetch_settings(name)
    raise ConfigError(
        f"there is no folder {name!r} with the config and the tokenizer of the reward model on the "
        "server; name one, or its name on the hub, by --reward-tokenizer (no weights are needed)"
    )


def skeleton(family: Family, folder: Path) -> Any:
    """Return a family's model without weights, by its config alone.

    Raises:
      ConfigError: torch is missing, or the config is no such model's.
    """
    require_torch("transformers")
    try:
        return load_structure(family.model_class(), folder)
    except Exception as error:  # transformers raises many kinds
        raise ConfigError(
            f"{folder / 'config.json'} is not the config of a {family.noun} ({one_line(error)}); "
            "name the folder of the model that is on the server by --reward-tokenizer"
        ) from None
