"""What surrounds the package: containers, citation, issue forms, metadata of a release."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer

import stepnav
from stepnav.cli.main import app

yaml = pytest.importorskip("yaml")
ROOT = Path(__file__).resolve().parents[1]
COMPOSE: Any = yaml.safe_load((ROOT / "compose.yaml").read_text())


def serve_context(words: list[str]) -> Any:
    command: Any = typer.main.get_command(app)
    assert words[0] == "serve"
    return command.commands["serve"].make_context("serve", words[1:])


def test_the_container_serves() -> None:
    text = (ROOT / "Dockerfile").read_text()
    entry, command = (
        re.search(rf"^{name} (.*)$", text, re.MULTILINE) for name in ("ENTRYPOINT", "CMD")
    )
    assert entry and command
    assert yaml.safe_load(entry[1]) == ["stepnav"]
    assert serve_context(yaml.safe_load(command[1])).params["host"] == "0.0.0.0"


def test_the_container_copies_what_there_is() -> None:
    allowed = [
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[0] == "!"
    ]
    assert [name for name in allowed if not (ROOT / name).exists()] == []
    needed = {"LICENSE", "README.md", "constraints.txt", "pyproject.toml", "src"}
    assert needed == set(allowed)


@pytest.mark.skipif(shutil.which("hadolint") is None, reason="make release runs it too")
def test_the_linter_passes_the_dockerfile() -> None:
    done = subprocess.run(["hadolint", ROOT / "Dockerfile"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_compose_searches_over_the_models_that_it_serves() -> None:
    services = COMPOSE["services"]
    params = serve_context(services["search"]["command"]).params
    for name in ("policy", "reward"):
        words = services[name]["command"]
        port = words[words.index("--port") + 1]
        assert params[name].removesuffix("/v1") == f"http://{name}:{port}"
        assert f":{port}/" in services[name]["healthcheck"]["test"][-1]
        assert name in services["search"]["depends_on"]
    assert services["reward"]["command"][-4:-2] == ["--runner", "pooling"]
    assert {"search"} == set(params["allow_host"])  # beside localhost
    mounted = [volume.rpartition("}")[2] for volume in services["search"]["volumes"]]
    assert f":{params['reward_tokenizer']}:ro" in mounted
    assert f"traces:{params['traces']}" in services["search"]["volumes"]


def test_the_citation_is_of_this_version() -> None:
    found = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert found["version"] == stepnav.__version__
    assert found["license"] == "Apache-2.0"
    assert found["repository-code"] in (ROOT / "pyproject.toml").read_text()


@pytest.mark.parametrize("name", ["bug", "proposal"])
def test_issue_forms_have_what_the_site_wants(name: str) -> None:
    form = yaml.safe_load((ROOT / f".github/ISSUE_TEMPLATE/{name}.yml").read_text())
    assert form.keys() >= {"name", "description", "body"}
    ids = [item["id"] for item in form["body"]]
    assert len(set(ids)) == len(ids)
    assert all(item["attributes"]["label"] for item in form["body"])
    assert any(item.get("validations", {}).get("required") for item in form["body"])


def test_links_of_the_readme_lead_somewhere_on_the_package_index() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    hook = project["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]
    text = (ROOT / "README.md").read_text()
    for rule in hook["substitutions"]:
        text = re.sub(rule["pattern"], rule["replacement"], text)
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert "https://github.com/stepnav/stepnav/raw/main/docs/images/tree.png" in links
    assert [link for link in links if not link.startswith("https://")] == []
    places = [re.sub(r"^https://github.com/stepnav/stepnav/(raw|blob)/main/", "", x) for x in links]
    assert [place for place in places if "://" not in place and not (ROOT / place).exists()] == []
