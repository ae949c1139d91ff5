"""The gateway's settings."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from services.payment_gateway.settings import Settings
from shared.money import Currency
from tests.support import settings_in


def test_the_defaults_hold_together(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, Settings)
    assert settings.minimum() == {Currency.USDT: 1_000_000, Currency.TRX: 1_000_000}
    assert settings.dust() == {Currency.USDT: 1_000, Currency.TRX: 1_000}
    assert settings.retry_ladder_s()[:5] == (5, 300, 1_800, 7_200, 18_000)
    assert sum(settings.retry_ladder_s()) >= 75 * 3_600


@pytest.mark.parametrize(
    "changes",
    [
        {"min_invoice_usdt": "1.0000001"},
        {"min_invoice_usdt": "0.0001"},
        {"webhook_retry_ladder_s": "5,x"},
        {"webhook_retry_ladder_s": "5,0"},
        {"outbound_allowed_networks": "10.0.0.0/99"},
    ],
)
def test_wrong_settings_are_refused(tmp_path: Path, changes: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        settings_in(tmp_path, Settings, **changes)
