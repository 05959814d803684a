"""Tables of costs: their text format, FBNet's, and what a supernet finds in them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from optuna_nas.measures import CostTable, read_cost_table
from optuna_nas.spaces import CellSpace, DARTSSpace
from optuna_nas.supernets import Supernet, build_supernet

OPERATIONS = ("none", "skip_connect", "nor_conv_3x3")
TEXT = """\
# optuna-nas cost table 1
# measure: energy
# unit: mJ
# base: 0.5
# device: cpu
place none skip_connect nor_conv_3x3
cell/0-1 0 0.25 1
cell/0-2 0 0.5 2

cell/1-2 0 0.75 3.5
"""


def supernet() -> Supernet:
    return build_supernet(CellSpace(3, OPERATIONS), num_classes=2, channels=2, cells=1)


def write(folder: Path, text: str) -> Path:
    file = folder / "costs.txt"
    file.write_text(text, encoding="utf-8")
    return file


def test_the_format(tmp_path: Path) -> None:
    table = read_cost_table(write(tmp_path, TEXT))
    assert (table.measure, table.unit, table.base) == ("energy", "mJ", 0.5)
    assert table.operations == OPERATIONS
    assert table.places == ("cell/0-1", "cell/0-2", "cell/1-2")
    assert table.values.tolist() == [[0, 0.25, 1], [0, 0.5, 2], [0, 0.75, 3.5]]
    assert table.notes == {"device": "cpu"}
    again = read_cost_table(write(tmp_path, table.to_text()))
    assert again.to_text() == table.to_text()
    assert again.digest == table.digest
    assert repr(table) == f"CostTable('energy', 3 places, 3 operations, {table.digest})"


def test_costs_are_found_by_their_names(tmp_path: Path) -> None:
    """Rows and columns may stand in any order, and there may be more of them."""
    text = "place nor_conv_3x3 none other skip_connect\ncell/1-2 5 0 9 1\nx/0-1 9 9 9 9\n"
    text += "cell/0-2 6 0 9 2\ncell/0-1 7 0 9 3\n"
    table = read_cost_table(write(tmp_path, text))
    assert (table.measure, table.unit, table.base) == ("latency", "us", 0.0)
    costs = table.costs(supernet())
    assert list(costs) == ["cell"]
    assert costs["cell"].tolist() == [[0, 3, 7], [0, 2, 6], [0, 1, 5]]


def test_every_kind_of_cell_has_its_rows() -> None:
    network = build_supernet(DARTSSpace(), num_classes=2, channels=2, cells=3)
    places = [f"{kind}/{s}-{t}" for kind, edges in network.edges.items() for s, t in edges]
    values = np.arange(28.0 * 8).reshape(28, 8)
    costs = CostTable(values, network.operations, tuple(places)).costs(network)
    assert np.array_equal(np.concatenate([costs["normal"], costs["reduce"]]), values)


@pytest.mark.parametrize("names", ["", "ir_k3_e1 ir_k3_s2 skip\n"])
def test_tables_of_fbnet(tmp_path: Path, names: str) -> None:
    """Rows of numbers in microseconds, in the order of the layers, names of operations or not."""
    table = read_cost_table(write(tmp_path, f"{names}1.6 1400.0 8.5e3\n2 3 4\n5 6 7\n"))
    assert (table.measure, table.unit, table.base, table.places) == ("latency", "us", 0.0, None)
    assert table.operations == (tuple(names.split()) or None)
    assert table.values[0].tolist() == [1.6, 1400.0, 8500.0]
    if names:
        with pytest.raises(ValueError, match=r"lacks the operation 'none'; it has ."):
            table.costs(supernet())
    else:
        assert table.costs(supernet())["cell"].tolist() == table.values.tolist()


def test_other_units(tmp_path: Path) -> None:
    table = read_cost_table(write(tmp_path, TEXT))
    small = table.scaled(1000, "uJ")
    assert (small.unit, small.base) == ("uJ", 500.0)
    assert small.values[2].tolist() == [0, 750, 3500]
    assert small.digest != table.digest


def test_what_a_table_lacks_is_said_in_one_line(tmp_path: Path) -> None:
    without = "\n".join(line for line in TEXT.splitlines() if "0-2" not in line)
    table = read_cost_table(write(tmp_path, without))
    with pytest.raises(ValueError, match=r"^The table of costs lacks the place 'cell/0-2'; it h"):
        table.costs(supernet())
    lacking = TEXT.replace("skip_connect", "avg_pool_3x3")
    table = read_cost_table(write(tmp_path, lacking))
    with pytest.raises(ValueError, match=r"lacks the operation 'skip_connect'; it has \['none',"):
        table.costs(supernet())
    table = read_cost_table(write(tmp_path, "1 2 3\n4 5 6\n"))
    with pytest.raises(ValueError, match=r"has 2 places without names, and the supernet has 3: c"):
        table.costs(supernet())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "there is no line of numbers."),
        ("# only: notes\nplace a b\n", "there is no line of numbers."),
        ("1 2\n3\n", "line 2 has 1 entries, and not 2."),
        ("place a b\nx 1 2 3\n", "line 2 has 4 entries, and not 3."),
        ("1 2\n3 -1\n", "line 2 has '-1'; allowed are numbers of zero or more."),
        ("1 nan\n", "line 1 has 'nan'; allowed are numbers of zero or more."),
        ("place a\nx fast\n", "line 2 has 'fast'; allowed are numbers of zero or more."),
        ("# base: x\n1 2\n", "line 1 has 'x'; allowed are numbers"),
        ("# optuna-nas cost table 2\n1 2\n", "'optuna-nas cost table 2' is of another version"),
    ],
)
def test_what_is_no_table(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"no table of costs: {re.escape(message)}"):
        read_cost_table(write(tmp_path, text))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^The table of costs '.*none.txt' cannot be read: .*No"):
        read_cost_table(tmp_path / "none.txt")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"cannot be read: .*utf-8"):
        read_cost_table(tmp_path / "bytes")
