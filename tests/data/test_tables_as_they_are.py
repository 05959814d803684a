"""Tables as programs and people write them: nothing is guessed, dropped or read twice."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pandas as pd
import pytest

from optuna_nas.data import TextData, load_text
from optuna_nas.data.delimited import read_delimited, typed

ROWS = [(f"text number {i}", "ab"[i % 2]) for i in range(20)]
HEADER = ("text", "label")


def lines(separator: str, rows: list[tuple[str, str]]) -> str:
    return "".join(separator.join(row) + "\n" for row in [HEADER, *rows])


def pairs(data: TextData) -> list[tuple[str, str]]:
    """All texts with their classes, sorted."""
    return sorted(
        (text, data.class_names[label])
        for split in (data.train, data.validation, data.test)
        for text, label in zip(split.texts, split.labels, strict=True)
    )


def loaded(folder: Path, name: str, content: str | bytes, encoding: str | None = None) -> TextData:
    folder.mkdir(exist_ok=True)
    content = content.encode() if isinstance(content, str) else content
    (folder / name).write_bytes(content)
    return load_text(folder, encoding=encoding)


@pytest.mark.parametrize("word", ["None", "NA", "null", "nan", "N/A", "#N/A", "NULL", "-", "<NA>"])
@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl"])
def test_words_that_readers_take_for_missing(tmp_path: Path, word: str, suffix: str) -> None:
    rows = [
        (word if i == 3 else text, word if i % 2 else "some") for i, (text, _) in enumerate(ROWS)
    ]
    content = lines({"csv": ",", "tsv": "\t"}.get(suffix, ","), rows)
    if suffix == "jsonl":
        content = "".join(json.dumps(dict(zip(HEADER, row, strict=True))) + "\n" for row in rows)
    data = loaded(tmp_path / "data", f"all.{suffix}", content)
    assert pairs(data) == sorted(rows)


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (("1", "10", "9"), ("1", "9", "10")),
        (("01", "1", "02"), ("01", "02", "1")),
        (("1.0", "0.0"), ("0", "1")),
        (("True", "False"), ("False", "True")),
        ((" good ", "good", "bad"), ("bad", "good")),
        (("1e3", "x"), ("1e3", "x")),
        (("2020-01-01", "2021-01-01"), ("2020-01-01", "2021-01-01")),
        (("not so good", "good"), ("good", "not so good")),
    ],
)
def test_labels_of_every_kind(
    tmp_path: Path, labels: tuple[str, ...], names: tuple[str, ...]
) -> None:
    rows = [(f"text {i}", labels[i % len(labels)]) for i in range(30)]
    assert loaded(tmp_path / "data", "all.csv", lines(",", rows)).class_names == names


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (("0.5", "1.5"), r"no classes in column 'label', but numbers such as 0\.5 in row 0"),
        (("a", ""), r"no label \(null or negative\) in 10 of its 20 rows, first in row 1"),
        (("a", "  "), r"no label \(null or negative\) in 10"),
        (("0.0", "-1.0"), r"no label \(null or negative\) in 10"),
        (("a", "a"), "has only one class, 'a'"),
    ],
)
def test_labels_that_are_none(tmp_path: Path, labels: tuple[str, str], message: str) -> None:
    rows = [(f"text {i}", labels[i % 2]) for i in range(20)]
    with pytest.raises(ValueError, match=message):
        loaded(tmp_path / "data", "all.csv", lines(",", rows))


def test_a_column_of_floats_is_a_label_only_if_there_is_no_other(tmp_path: Path) -> None:
    rows = [("text,target,label", ""), *((f"text {i},0.{i}", f",{i % 2}") for i in range(20))]
    content = "".join(f"{left}{right}\n" for left, right in rows)
    assert loaded(tmp_path / "two", "a.csv", content).class_names == ("0", "1")


def test_a_class_with_one_row_is_trained_on_or_the_error_says_what_to_do(tmp_path: Path) -> None:
    rows = [*ROWS, ("a rare text", "rare")]
    try:
        data = loaded(tmp_path / "data", "all.csv", lines(",", rows))
    except ValueError as error:
        assert "none of the classes ['rare']" in str(error)
    else:
        assert "rare" in {data.class_names[label] for label in data.train.labels}


QUOTED = [
    [
        ('"a fine film', "a"),
        ("in between", "b"),
        ("also in between", "a"),
        ('"an awful one"', "b"),
    ],
    [('"a fine film', "a")],
    [('the end"', "a"), ('"', "b")],
    [('he said "yes"', "a"), ('"yes", he said', "b")],
    [('""', "a"), ('"quoted"', "b")],
]


@pytest.mark.parametrize("rows", QUOTED)
def test_quotation_marks_between_tabs_are_text(
    tmp_path: Path, rows: list[tuple[str, str]]
) -> None:
    content = lines("\t", [*ROWS, *rows])
    assert pairs(loaded(tmp_path / "data", "all.tsv", content)) == sorted([*ROWS, *rows])


@pytest.mark.parametrize("rows", QUOTED[:3])
def test_quotation_marks_that_enclose_nothing_lose_no_rows(
    tmp_path: Path, rows: list[tuple[str, str]]
) -> None:
    content = lines(",", [*ROWS, *rows])
    assert pairs(loaded(tmp_path / "data", "all.csv", content)) == sorted([*ROWS, *rows])


@pytest.mark.parametrize("suffix", ["csv", "tsv"])
@pytest.mark.parametrize("quoting", [0, 1])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_what_pandas_writes_is_read_as_it_was(
    tmp_path: Path, suffix: str, quoting: int, end: str
) -> None:
    special = ['said "no"', "one, two; three", "a\ttab", "two\nlines", "é ü 漢", "'", "NA", '"']
    rows = [*ROWS, *((text, "ab"[i % 2]) for i, text in enumerate(special))]
    frame = pd.DataFrame(rows, columns=list(HEADER))
    separator = "," if suffix == "csv" else "\t"
    content = frame.to_csv(index=False, sep=separator, quoting=quoting, lineterminator=end)
    assert pairs(loaded(tmp_path / "data", f"all.{suffix}", content)) == sorted(rows)


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_other_separators(tmp_path: Path, separator: str) -> None:
    rows = [(f"text, number {i}", label) for i, (_, label) in enumerate(ROWS)]
    assert pairs(loaded(tmp_path / "data", "a.csv", lines(separator, rows))) == sorted(rows)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("suffix", ["csv", "json"])
def test_encodings_that_are_found(tmp_path: Path, encoding: str, suffix: str) -> None:
    rows = [(f"größe {i}", label) for i, (_, label) in enumerate(ROWS)]
    content = lines(",", rows)
    if suffix == "json":
        content = json.dumps([dict(zip(HEADER, r, strict=True)) for r in rows], ensure_ascii=False)
    found = loaded(tmp_path / "data", f"all.{suffix}", content.encode(encoding))
    assert pairs(found) == sorted(rows)
    named = loaded(tmp_path / "data", f"all.{suffix}", content.encode(encoding), encoding)
    assert pairs(named) == sorted(rows)


def test_encodings_that_have_to_be_named(tmp_path: Path) -> None:
    rows = [(f"größe {i}", label) for i, (_, label) in enumerate(ROWS)]
    content = lines(",", rows).encode("latin-1")
    with pytest.raises(
        ValueError, match=r"all\.csv is not .* utf-8: line 2 has the byte 0xF6\. Na"
    ):
        loaded(tmp_path / "data", "all.csv", content)
    assert pairs(loaded(tmp_path / "data", "all.csv", content, "latin-1")) == sorted(rows)
    with pytest.raises(ValueError, match="`encoding`='klingon' is not known; allowed"):
        loaded(tmp_path / "data", "all.csv", content, "klingon")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text,label\na,b\nc\n", r"all\.csv has 1 fields in line 3, and 2 in its first"),
        ("text,label\na,b,c\n", "3 fields in line 2"),
        ('text,label\n"x, y",a\n"z\n', "quotation mark out of place in line 3"),
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("text,text,label\na,b,c\n", r"several columns of one name: \['text'\]"),
    ],
)
def test_tables_that_are_none(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        loaded(tmp_path / "data", "all.csv", content)


def test_other_columns_are_of_the_kind_they_were(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(",id, score ,flag,words,zip\n0,7,0.5,true,NA,01\n1,-8,1e-3,false,,02\n")
    columns = {name: typed(fields) for name, fields in read_delimited(path).items()}
    assert columns == {
        "": [0, 1],
        "id": [7, -8],
        "score": [0.5, 0.001],
        "flag": [True, False],
        "words": ["NA", None],
        "zip": ["01", "02"],
    }


def test_long_fields_and_strange_characters(tmp_path: Path) -> None:
    rows = [*ROWS, ("x" * 200_000, "a"), ("next\x85line\u2028and\x0bmore", "b"), ("nul\0", "a")]
    assert pairs(loaded(tmp_path / "data", "all.tsv", lines("\t", rows))) == sorted(rows)
    quoted = io.StringIO()
    pd.DataFrame(rows[:-1], columns=list(HEADER)).to_csv(quoted, index=False, quoting=1)
    assert pairs(loaded(tmp_path / "other", "all.csv", quoted.getvalue())) == sorted(rows[:-1])


@pytest.mark.parametrize(
    "hidden",
    [
        *("._train.csv", ".~lock.train.csv#", "~$train.csv", ".ipynb_checkpoints/train.csv"),
        *(".cache/huggingface/train.csv", "__MACOSX/train.csv", "dataset_infos.json"),
    ],
)
@pytest.mark.parametrize("shown", ["train.csv", "part.csv", "data/TRAIN.CSV", "data/Train.Csv"])
def test_hidden_entries(
    tmp_path: Path, hidden: str, shown: str, caplog: pytest.LogCaptureFixture
) -> None:
    for name, content in ((shown, lines(",", ROWS)), (hidden, "\0\5\26\7")):
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).write_text(content)
    assert pairs(load_text(tmp_path / "data")) == sorted(ROWS)
    assert not caplog.text


def test_a_hidden_folder_that_is_named_is_read(tmp_path: Path) -> None:
    assert pairs(loaded(tmp_path / ".cache", "all.csv", lines(",", ROWS))) == sorted(ROWS)


def test_files_that_are_left_out_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "data").mkdir()
    for name in ("README.md", "b.pt", "c.txt", "d.npz"):
        (tmp_path / "data" / name).write_text("x")
    loaded(tmp_path / "data", "train.csv", lines(",", ROWS))
    assert "no table of the data: 4 files (README.md, b.pt, c.txt, ...)" in caplog.text


@pytest.mark.parametrize("name", ["valid", "val", "dev", "validation", "Valid", "DEV"])
@pytest.mark.parametrize("form", ["{}.csv", "{}/0.csv", "{}-00000-of-00001.csv"])
def test_names_of_the_validation_split(tmp_path: Path, name: str, form: str) -> None:
    for split in ("train", name, "test"):
        path = tmp_path / form.format(split)
        path.parent.mkdir(exist_ok=True)
        path.write_text(lines(",", [(f"{split} {i}", "ab"[i % 2]) for i in range(20)]))
    data = load_text(tmp_path)
    assert all(text.startswith(name) for text in data.validation.texts)
    assert (len(data.train), len(data.validation), len(data.test)) == (20, 20, 20)


def test_json_in_its_forms(tmp_path: Path) -> None:
    records = [dict(zip(HEADER, row, strict=True)) for row in ROWS]
    columns = {name: list(c) for name, c in zip(HEADER, zip(*ROWS, strict=True), strict=True)}
    for name, content in (
        ("a.json", json.dumps(records, indent=2)),
        ("a.json", json.dumps(columns)),
        ("a.jsonl", "\n\n".join(map(json.dumps, records))),
    ):
        data = loaded(tmp_path / f"{len(content)}", name, content)
        assert pairs(data) == sorted(ROWS)
    dates = [{"text": f"2020-01-{i + 1:02}", "label": "ab"[i % 2]} for i in range(20)]
    data = loaded(tmp_path / "dates", "a.jsonl", "\n".join(map(json.dumps, dates)))
    assert pairs(data)[0] == ("2020-01-01", "a")
    with pytest.raises(ValueError, match=r"Line 2 of .*a\.jsonl is not JSON"):
        loaded(tmp_path / "broken", "a.jsonl", '{"text": "x", "label": 1}\n{"text": \n')
    with pytest.raises(ValueError, match=r"must hold objects, .* it has '3'"):
        loaded(tmp_path / "numbers", "a.json", "[3, 4]")
