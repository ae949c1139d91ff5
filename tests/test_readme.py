import re

from services.__main__ import COMMANDS
from shared.models.wallet_sends import SendState
from tests.docs import README, SECTIONS, filled


def test_the_readme_holds_the_tables_that_the_code_gives() -> None:
    text = README.read_text()
    assert all(f"<!-- {name} -->" in text for name in SECTIONS)
    assert filled(text) == text, "run 'make docs'"


def test_the_readme_explains_every_state_of_a_send() -> None:
    table = README.read_text().split("A payout's states:")[1].split("## ")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| ")]
    explained = [state.strip() for row in rows[2:] for state in row.split(",")]
    assert sorted(explained) == sorted(SendState)


def test_the_readme_names_every_command_and_no_other() -> None:
    text = README.read_text()
    named = set(re.findall(r"python -m services ([a-z]+)", text))
    assert named <= set(COMMANDS)
    rules = [README.parent / "Makefile", README.parent / "docker" / "containers.mk"]
    targets = {
        target
        for path in rules
        for target in re.findall(r"^([a-z-]+):", path.read_text(), re.MULTILINE)
    }
    assert set(re.findall(r"`make ([a-z-]+)`", text)) <= targets
