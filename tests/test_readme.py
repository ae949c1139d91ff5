from tests.docs import README, SECTIONS, filled


def test_the_readme_holds_the_tables_that_the_code_gives() -> None:
    text = README.read_text()
    assert all(f"<!-- {name} -->" in text for name in SECTIONS)
    assert filled(text) == text, "run 'make docs'"
