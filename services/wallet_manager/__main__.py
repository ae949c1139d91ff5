"""Serve wallet-manager, or run one of its commands."""

import sys

from services.wallet_manager.app import create
from services.wallet_manager.cli import main
from services.wallet_manager.settings import Settings
from services.wallet_manager.vault.hardening import forbid_core_dumps
from shared.web.server import serve

forbid_core_dumps()
if len(sys.argv) > 1:
    sys.exit(main(sys.argv[1:]))
serve("wallet-manager", Settings, create, lambda settings: settings.port)
