from __future__ import annotations

import json

import pytest

from stepnav.zoo import MODELS_FOLDER
from stepnav.zoo.cards import policy_card, prm_card
from stepnav.zoo.domains import DOMAINS, load_domain


@pytest.mark.parametrize("name", DOMAINS)
def test_the_cards_of_what_ships_are_made_of_its_evaluations(name: str) -> None:
    domain = load_domain(name)
    for folder, card in ((domain.policy_name, policy_card), (domain.prm_name, prm_card)):
        evaluation = json.loads((MODELS_FOLDER / folder / "evaluation.json").read_text())
        text = card(domain, evaluation)
        is_untold = card is prm_card and "gate_problems" not in evaluation
        assert ("number and split are not kept" in text) == is_untold
        assert is_untold or text == (MODELS_FOLDER / folder / "README.md").read_text()
