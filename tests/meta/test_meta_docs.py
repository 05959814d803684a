"""The code of the documentation runs as it stands there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parents[2] / "docs" / "meta.md"


def test_the_code_of_the_documentation(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    for code in re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL):
        exec(compile(code, "docs/meta.md", "exec"), names)
    found = names["found"]
    assert float(found.bits_per_weight) == pytest.approx(13, abs=1)
    assert found.validation_loss < 2
    assert len(capsys.readouterr().out.splitlines()) >= 4
