"""Reward models on servers: the numbers of the same model in this process, and what goes wrong."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from stepnav.core.errors import BackendDown, BackendError, BadResponse, ConfigError
from stepnav.core.records import Problem, Step, Trajectory
from stepnav.core.requests import Propose, Score
from stepnav.remote.options import ServerOptions
from stepnav.rewards.families.recognise import FAMILIES, open_checkpoint
from stepnav.rewards.local.step_format import StepFormat
from stepnav.rewards.remote import RemoteReward
from stepnav.rewards.remote.routes import _check_count, _items
from stepnav.run.accounting import KnownPrefixes, charge
from tests.engine.small_models import poll_all
from tests.rewards import public_models
from tests.rewards.public_models import MAKERS, trajectories
from tests.rewards.remote.fake_server import FakeServer, ServerKind, text_of

ROUTES: list[tuple[str, ServerKind, str]] = [
    ("prm", "pooling", "POST /pooling"),
    ("token-classes", "pooling", "POST /pooling"),
    ("qwen-prm", "pooling", "POST /pooling"),
    ("orm", "pooling", "POST /classify"),
    *(
        (family, kind, route)
        for family in ("math-shepherd", "rlhflow")
        for kind, route in (
            ("generate", "POST /generative_scoring"),
            ("tokens", "POST /v1/completions by label"),
            ("sglang", "POST /generate"),
        )
    ),
]
FAST = {"backoff_s": 0.001, "max_wait_s": 0.01}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("models")
    found = {family: make(place / name) for family, (name, make) in MAKERS.items()}
    three = public_models.token_classes(place / "three", ("negative", "neutral", "positive"))
    StepFormat(temperature=1.7).save(three)
    return {**found, "three": three}


def remote(server: FakeServer, **options: Any) -> RemoteReward:
    fields = {name: options.pop(name) for name in ("timeout_s", "max_retries") if name in options}
    options = {"family": server.family, "transport": server.transport, **options}
    return RemoteReward("http://server", server=ServerOptions(**FAST, **fields), **options)


def score(backend: Any, *wanted: Trajectory) -> list[Any]:
    for ticket, trajectory in enumerate(wanted):
        backend.submit(ticket, Score(trajectory))
    answers = poll_all(backend, len(wanted))
    return [answers[ticket] for ticket in range(len(wanted))]


def check_equal(found: list[Any], local: list[Any], tolerance: float = 1e-3) -> None:
    for one, other in zip(found, local, strict=True):
        assert one.prefix_tokens == other.prefix_tokens
        assert one.flops_per_token == other.flops_per_token
        for item, same in zip(one.items, other.items, strict=True):
            probs = item.negative_prob, item.neutral_prob, item.positive_prob
            expected = same.negative_prob, same.neutral_prob, same.positive_prob
            assert probs == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize(("family", "kind", "route"), ROUTES)
def test_the_numbers_of_the_model_in_this_process(
    family: str, kind: ServerKind, route: str, folders: dict[str, Path]
) -> None:
    wanted = trajectories()
    local = open_checkpoint(folders[family], family=family, device="cpu")
    backend = remote(FakeServer(folders[family], family, kind))
    try:
        assert backend.route == route
        assert backend.num_parameters == local.num_parameters
        check_equal(score(backend, *wanted), score(local, *wanted), 1e-5)
        for trajectory in wanted:
            assert backend.token_bound(Score(trajectory)) == local.token_bound(Score(trajectory))
        costs = []
        for scorer in (backend, local):
            known, prefixes = KnownPrefixes(), [wanted[2], wanted[0], wanted[1], wanted[2]]
            answers = score(scorer, *prefixes)
            costs.append([charge(Score(t), a, known) for t, a in zip(prefixes, answers)])
        assert costs[0] == costs[1]
    finally:
        backend.close()


def test_three_classes_with_a_temperature(folders: dict[str, Path]) -> None:
    local = open_checkpoint(folders["three"], device="cpu")
    server = FakeServer(folders["three"], "prm", "pooling")
    backend = remote(server, family=None, tokenizer=str(folders["three"]))
    answers = score(backend, *trajectories())
    backend.close()
    check_equal(answers, score(local, *trajectories()), 1e-5)
    assert any(item.neutral_prob > 0.01 for answer in answers for item in answer.items)


def test_outputs_at_the_marks_alone(folders: dict[str, Path]) -> None:
    """vLLM's STEP pooling."""
    folder = folders["qwen-prm"]
    tag = public_models.qwen_tokenizer().convert_tokens_to_ids("<extra_0>")
    server = FakeServer(folder, "qwen-prm", "pooling", step_tag=tag)
    backend = remote(server, family=None)
    whole = trajectories()[2]
    score(backend, Trajectory(whole.problem, whole.steps[:1]))  # what is known is not asked again
    answers = score(backend, *trajectories())
    backend.close()
    check_equal(answers, score(open_checkpoint(folder, device="cpu"), *trajectories()), 1e-5)


@pytest.mark.parametrize("kind", ["llama-server", "llama-cpp-python"])
def test_servers_that_list_likely_tokens(tmp_path: Path, kind: ServerKind) -> None:
    folder = public_models.math_shepherd(tmp_path / "prm")
    server = FakeServer(folder, "math-shepherd", kind)
    real = server._respond

    def listing_more(path: str, body: Any) -> Any:
        return real(path, body if body is None else body | {"logprobs": 550})

    server._respond = listing_more  # type: ignore[method-assign]
    backend = remote(server)
    of_text = kind == "llama-cpp-python"
    assert backend.route == f"POST /v1/completions {'of text' if of_text else 'by label'}"
    wanted = trajectories()[:3]
    answers = score(backend, *wanted)
    backend.close()
    local = score(open_checkpoint(folder, family="math-shepherd", device="cpu"), *wanted)
    check_equal(answers, local, 1e-5)


def test_a_new_step_asks_for_itself_alone(folders: dict[str, Path]) -> None:
    server = FakeServer(folders["math-shepherd"], "math-shepherd", "generate")
    backend = remote(server)
    whole = trajectories()[2]
    for depth in range(1, len(whole.steps) + 1):
        before = len(server.seen)
        (answer,) = score(backend, Trajectory(whole.problem, whole.steps[:depth]))
        assert len(answer.items) == depth
        ((path, body),) = server.seen[before:]
        assert path == "/generative_scoring"
        assert len(body["items"]) == 1
    before = len(server.seen)
    score(backend, whole)
    assert len(server.seen) == before
    backend.close()


def test_odd_requests(folders: dict[str, Path]) -> None:
    server = FakeServer(folders["qwen-prm"], "qwen-prm", "pooling", max_model_len=80)
    backend = remote(server)
    problem = trajectories()[0].problem
    asked = len(server.seen)
    none, marked, long = score(
        backend,
        Trajectory(problem),
        Trajectory(problem, (Step("One."), Step("a<extra_0>b"))),
        Trajectory(problem, (Step("One."), Step("and so on " * 40))),
    )
    assert none.items == ()
    assert str(marked).startswith("step 2 holds '<extra_0>'")
    assert "ends at token" in str(long)
    assert "reads 80 tokens" in str(long)
    assert len(server.seen) == asked  # nothing of these was sent
    with pytest.raises(TypeError):
        backend.submit(7, Propose(Trajectory(problem)))
    backend.submit(8, Score(trajectories()[2]))
    backend.cancel(8)
    backend.close()
    backend.close()
    with pytest.raises(RuntimeError, match="was closed"):
        backend.submit(9, Score(trajectories()[0]))


def test_the_label_needs_a_place_in_the_context(folders: dict[str, Path]) -> None:
    """vLLM cuts a longer text in silence, and would rate another place."""
    folder = folders["math-shepherd"]
    trajectory = trajectories()[0]
    local = open_checkpoint(folder, family="math-shepherd", device="cpu")
    length = local.token_bound(Score(trajectory))
    for room, fits in ((length + 1, True), (length, False)):
        server = FakeServer(folder, "math-shepherd", "generate", max_model_len=room)
        backend = remote(server)
        (answer,) = score(backend, trajectory)
        backend.close()
        assert isinstance(answer, BackendError) is not fits


SPOILED: list[tuple[str, Callable[[Any], tuple[int, Any]], str]] = [
    ("a refusal", lambda p: (400, {"error": {"message": "no"}}), "HTTP 400"),
    ("HTML", lambda p: (200, "<html>a proxy</html>"), "not usable JSON"),
    ("nothing", lambda p: (200, {}), "no list of 1 results"),
    ("too few", lambda p: (200, p | {"data": []}), "no list of 1 results"),
    ("out of order", lambda p: (200, p | {"data": [p["data"][0] | {"index": 1}]}), "no list of 1"),
    ("cut", lambda p: (200, p | {"data": [p["data"][0] | {"data": p["data"][0]["data"][:-1]}]}),
     "outputs for"),
    ("other width", lambda p: (200, p | {"data": [p["data"][0] | {"data": [[1.0] * 5] * len(
        p["data"][0]["data"])}]}), "5 values where the model's config says 2"),
    ("words", lambda p: (200, p | {"data": [p["data"][0] | {"data": [["a", "b"]] * len(
        p["data"][0]["data"])}]}), "where the model's config says 2"),
    ("no number", lambda p: (200, p | {"data": [p["data"][0] | {"data": [[math.nan] * 2] * len(
        p["data"][0]["data"])}]}), "step 1 is not a number"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change", "says"), SPOILED)
def test_a_failed_call_is_never_a_score(
    name: str,
    change: Callable[[Any], tuple[int, Any]],
    says: str,
    folders: dict[str, Path],
) -> None:
    def spoil(path: str, answer: Any) -> Any:
        return change(answer[1]) if path == "/pooling" and is_running else answer

    is_running = False
    server = FakeServer(folders["qwen-prm"], "qwen-prm", "pooling", spoil=spoil)
    backend = remote(server)
    is_running = True
    (answer,) = score(backend, trajectories()[2])
    is_running = False
    (again,) = score(backend, trajectories()[2])
    backend.close()
    assert isinstance(answer, BackendError)
    assert says in str(answer)
    assert "\n" not in str(answer)
    assert len(again.items) == 4  # what was spoiled is not remembered


def test_what_passes_is_tried_again(folders: dict[str, Path]) -> None:
    failures = iter([0, 0, 503, 429, 500, 0, 0])

    def spoil(path: str, answer: Any) -> Any:
        status = next(failures, 0)
        return (status, {"error": {"message": "busy"}}) if status else answer

    server = FakeServer(folders["qwen-prm"], "qwen-prm", "pooling", spoil=spoil)
    backend = remote(server)
    (answer,) = score(backend, trajectories()[0])
    assert len(answer.items) == 1
    assert backend.http_retries == 3
    backend.close()


class Waiting:
    """A server that answers none of several questions before all are asked, but fails the first."""

    def __init__(self, folder: Path, count: int) -> None:
        self._server = FakeServer(folder, "math-shepherd", "tokens")
        self._count, self._asked = count, asyncio.Event()
        self.status: int | None = None
        self.num_asked = self.num_open = 0

    async def answer(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content) if request.content else None
        if self.status is not None:
            self.num_asked += 1
            self.num_open += 1
            number = self.num_asked
            try:
                if number == self._count:
                    self._asked.set()
                await self._asked.wait()
                if number == 1:
                    return httpx.Response(self.status, text="{}")
                if self.status == 400:
                    await asyncio.sleep(60)
            finally:
                self.num_open -= 1
        status, payload = self._server.respond(request.url.path, body, None)
        return httpx.Response(status, text=text_of(payload))


@pytest.mark.parametrize(("status", "num_asked"), [(503, 9), (400, 8)])
def test_one_failure_repeats_no_other_question_and_leaves_none_open(
    status: int, num_asked: int, folders: dict[str, Path]
) -> None:
    steps = tuple(Step(f"{number} is {number}.\n") for number in range(8))
    server = Waiting(folders["math-shepherd"], len(steps))
    backend = RemoteReward(
        "http://server", family="math-shepherd", server=ServerOptions(**FAST),
        transport=httpx.MockTransport(server.answer),
    )  # fmt: skip
    assert backend.route == "POST /v1/completions by label"
    server.status = status
    (answer,) = score(backend, Trajectory(Problem("p", "1 + 1 = ?"), steps))
    assert (server.num_asked, server.num_open) == (num_asked, 0)
    assert isinstance(answer, BadResponse) == (status == 400)
    backend.close()


def test_a_server_that_goes_away_ends_the_run(folders: dict[str, Path]) -> None:
    def spoil(path: str, answer: Any) -> Any:
        if is_gone:
            raise httpx.ConnectError("refused")
        return answer

    is_gone = False
    server = FakeServer(folders["qwen-prm"], "qwen-prm", "pooling", spoil=spoil)
    backend = remote(server, max_retries=1)
    is_gone = True
    (answer,) = score(backend, trajectories()[0])
    backend.close()
    assert type(answer) is BackendDown


def test_a_label_that_is_not_listed_is_no_guess(folders: dict[str, Path]) -> None:
    from stepnav.rewards.remote.label_logprobs import Label, label_logprobs

    good, bad = Label(5, ("token_id:5", " +", "+")), Label(6, ("token_id:6", " -", "-"))

    def listed(**logprobs: float) -> Any:
        return {"choices": [{"logprobs": {"top_logprobs": [logprobs]}}]}

    assert label_logprobs(listed(**{"+": -0.1, "-": -2.0, "x": -1.0}), good, bad) == (-0.1, -2.0)
    assert label_logprobs(listed(**{" +": -0.1, "+": -9.0, "-": -2.0}), good, bad) == (-0.1, -2.0)
    assert label_logprobs(listed(**{"token_id:6": -0.1, "token_id:5": -2.0}), good, bad)[1] == -0.1
    # the bad one is less likely than e^-10: the score moves by less than e^-9.9
    assert label_logprobs(listed(**{"+": -0.1, "x": -10.0}), good, bad) == (-0.1, -10.0)
    for found in ({"+": -0.1, "x": -5.0}, {"y": -0.1, "x": -5.0}, {"-": -3.0}):
        with pytest.raises(BackendError, match="is not among the"):
            label_logprobs(listed(**found), good, bad)
    for broken in ({}, {"choices": []}, {"choices": [{"logprobs": None}]}, "x", listed()):
        with pytest.raises(BadResponse, match="lists no likely tokens"):
            label_logprobs(broken, good, bad)


def test_a_text_that_two_tokens_share_names_neither() -> None:
    """Some servers tell "+" for the token with a space before it, which would be rated instead."""
    from stepnav.rewards.remote.label_logprobs import Label

    words = public_models.mistral_tokenizer()
    (plus,) = words.encode("+", add_special_tokens=False)
    assert words.convert_ids_to_tokens(plus) == "▁+"
    assert words.convert_tokens_to_ids("+") != words.unk_token_id
    assert Label.of(words, plus).names == (f"token_id:{plus}", " +")
    llama = public_models.llama_tokenizer()
    (plus,) = llama.encode("+", add_special_tokens=False)
    assert Label.of(llama, plus).names == (f"token_id:{plus}", "+")


def test_a_value_head_has_no_route(folders: dict[str, Path]) -> None:
    server = FakeServer(folders["skywork"], "skywork", "pooling")
    for family in (None, "skywork"):
        with pytest.raises(ConfigError, match="no server gives the scores of a Skywork"):
            remote(server, family=family)


def test_every_family_is_served_or_refused() -> None:
    assert {family for family, _, _ in ROUTES} == set(FAMILIES) - {"skywork"}
    assert [name for name, family in FAMILIES.items() if family.served is None] == ["skywork"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"model": "other"}, r"has no model 'other'; its models are .* \(--reward-model\)"),
        ({"tokenizer": "nowhere"}, "no folder 'nowhere' .* --reward-tokenizer"),
        ({"family": "math-shepherd"}, "no single token"),
        ({"family": "orm"}, r"does not give this reward model's scores \(POST /classify: HTTP 404"),
    ],
)
def test_what_does_not_fit(options: dict[str, Any], says: str, folders: dict[str, Path]) -> None:
    server = FakeServer(folders["token-classes"], "token-classes", "pooling")
    with pytest.raises(ConfigError, match=says) as caught:
        remote(server, **options)
    assert "\n" not in str(caught.value)


def test_a_server_of_another_kind(folders: dict[str, Path]) -> None:
    folder = folders["token-classes"]
    with pytest.raises(ConfigError, match=r"\(POST /pooling: HTTP 404\)"):
        remote(FakeServer(folder, "math-shepherd", "generate"), family="token-classes")
    embeds = FakeServer(
        folder, "token-classes", "pooling",
        spoil=lambda path, answer: (200, answer[1] | {"data": [{"index": 0, "data": [0.1] * 32}]})
        if path == "/pooling" else answer,
    )  # fmt: skip
    with pytest.raises(ConfigError, match="32 outputs for"):
        remote(embeds)
    for page in ("<html>hello</html>", {"hello": "world"}, []):
        server = FakeServer(folder, "token-classes", "pooling", spoil=lambda *_, p=page: (200, p))
        with pytest.raises(BackendDown, match="is no model server: GET /models lists no models"):
            remote(server)
    locked = FakeServer(
        folder, "token-classes", "pooling", spoil=lambda *_: (401, {"error": "key?"})
    )
    with pytest.raises(BackendDown, match="wants an API key, and none was sent"):
        remote(locked)


def test_a_family_and_no_weights_here(folders: dict[str, Path], tmp_path: Path) -> None:
    """Config and tokenizer are enough; their name on the server tells nothing."""
    for file in folders["token-classes"].iterdir():
        if "safetensors" not in file.name:
            (tmp_path / file.name).write_bytes(file.read_bytes())
    server = FakeServer(folders["token-classes"], "token-classes", "pooling")
    backend = remote(server, family=None, tokenizer=str(tmp_path))
    assert len(score(backend, trajectories()[2])[0].items) == 4
    backend.close()
    (tmp_path / "config.json").write_text('{"architectures": ["LlamaForTokenClassification"]}')
    with pytest.raises(ConfigError, match=r"config\.json is not the config of a token class"):
        remote(server, family=None, tokenizer=str(tmp_path))


def test_a_step_that_text_cannot_show(folders: dict[str, Path]) -> None:
    """Where a server takes text only, what is tokenised otherwise there is no score."""
    from stepnav.rewards.remote.routes import _text

    words = public_models.mistral_tokenizer()
    ids = words.encode("One and two ки")
    assert words.encode(_text(words, ids)) == ids
    apart = [*words.encode("One"), *words.encode("ne", add_special_tokens=False)]
    if words.encode(words.decode(apart[1:])) != apart:
        with pytest.raises(BackendError, match="takes text only"):
            _text(words, apart)


def test_results_are_taken_by_their_index() -> None:
    one, other = {"index": 0, "data": [1]}, {"index": 1, "data": [2]}
    assert _items({"data": [other, one]}, 2) == [one, other]
    for wrong in ([one, one], [one], [one, {"data": [2]}], [one, {"index": "1"}], [one, 5]):
        with pytest.raises(BadResponse, match="no list of 2 results"):
            _items({"data": wrong}, 2)


@pytest.mark.parametrize(
    "payload", [{}, {"usage": None}, {"usage": {}}, {"usage": {"total_tokens": 6}}]
)
def test_an_answer_need_not_tell_how_much_it_read(payload: dict[str, Any]) -> None:
    _check_count(payload, 5)
    with pytest.raises(BadResponse, match="read 6 tokens where there are 5"):
        _check_count({"usage": {"prompt_tokens": 6}}, 5)
