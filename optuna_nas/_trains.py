"""Imported first by what trains networks: it says what to install before an import fails."""

from __future__ import annotations

from optuna_nas._extras import require_training

require_training("What trains networks in optuna_nas")
