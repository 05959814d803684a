from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import huggingface_hub
import pytest

from optuna_nas.data.sources import open_source
from optuna_nas.data.split_names import choose_splits, folder_role, split_role

Numbered = Callable[..., datasets.Dataset]
PngFolder = Callable[..., Path]


def _rows(splits: dict[str, datasets.Dataset]) -> dict[str, int]:
    return {name: len(table) for name, table in splits.items()}


def test_parquet_files_named_after_splits(tmp_path: Path, numbered: Numbered) -> None:
    numbered([3, 3]).to_parquet(tmp_path / "train-00000-of-00002.parquet")
    numbered([2, 2]).to_parquet(tmp_path / "train-00001-of-00002.parquet")
    numbered([1, 1]).to_parquet(tmp_path / "test.parquet")
    numbered([1, 0]).to_parquet(tmp_path / "val.parquet")
    for source in (str(tmp_path), tmp_path):
        assert _rows(open_source(source)) == {"test": 2, "train": 10, "validation": 1}


def test_parquet_files_without_split_names_are_one_split(
    tmp_path: Path, numbered: Numbered
) -> None:
    folder = tmp_path / "with [brackets] and *"
    (folder / "data").mkdir(parents=True)
    numbered([3, 3]).to_parquet(folder / "data" / "one.parquet")
    numbered([2, 2]).to_parquet(folder / "data" / "two.parquet")
    assert _rows(open_source(folder)) == {"train": 10}


def test_a_single_file_is_one_split_whatever_its_name(tmp_path: Path, numbered: Numbered) -> None:
    numbered([3, 3]).to_parquet(tmp_path / "test.parquet")
    numbered([2, 2]).to_parquet(tmp_path / "train.parquet")
    assert _rows(open_source(tmp_path / "test.parquet")) == {"train": 6}


def test_changed_files_are_read_again(tmp_path: Path, numbered: Numbered) -> None:
    numbered([3, 3]).to_parquet(tmp_path / "train.parquet")
    assert _rows(open_source(tmp_path / "train.parquet")) == {"train": 6}
    numbered([2, 2]).to_parquet(tmp_path / "train.parquet")
    assert _rows(open_source(tmp_path / "train.parquet")) == {"train": 4}


def test_folders_saved_to_disk(tmp_path: Path, numbered: Numbered) -> None:
    table = numbered([3, 3])
    table.save_to_disk(str(tmp_path / "one"))
    datasets.DatasetDict({"train": table, "test": table.select([0])}).save_to_disk(
        str(tmp_path / "two")
    )
    assert _rows(open_source(tmp_path / "one")) == {"train": 6}
    assert _rows(open_source(tmp_path / "two")) == {"train": 6, "test": 1}


def test_arrow_files(tmp_path: Path, numbered: Numbered) -> None:
    numbered([3, 3]).save_to_disk(str(tmp_path / "saved"))
    next((tmp_path / "saved").glob("*.arrow")).rename(tmp_path / "train.arrow")
    table = open_source(tmp_path / "train.arrow")["train"]
    assert len(table) == 6
    assert table.features["label"].names == ["a", "b"]


def test_image_folders(png_folder: PngFolder) -> None:
    one = open_source(png_folder({"cat": [0, 1], "ant": [2], "__MACOSX": [3]}, "one"))
    assert _rows(one) == {"train": 3}
    assert one["train"].features["label"].names == ["ant", "cat"]
    assert one["train"]["label"] == [0, 1, 1]
    two = open_source(
        png_folder({"Train/cat": [0, 1], "Train/ant/deep": [2], "test/cat": [4]}, "two")
    )
    assert _rows(two) == {"train": 3, "test": 1}
    assert two["test"]["label"] == [1]


def test_reading_is_silent_and_leaves_progress_bars_as_they_were(
    tmp_path: Path, numbered: Numbered, capfd: pytest.CaptureFixture[str]
) -> None:
    numbered([3, 3]).to_parquet(tmp_path / "train.parquet")
    capfd.readouterr()
    assert not datasets.are_progress_bars_disabled()
    open_source(tmp_path)
    assert capfd.readouterr() == ("", "")
    assert not datasets.are_progress_bars_disabled()


def test_the_hub_comes_after_local_paths(
    tmp_path: Path, numbered: Numbered, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def load_dataset(
        name: str, config_name: str | None, *, trust_remote_code: bool
    ) -> datasets.DatasetDict:
        assert not trust_remote_code
        asked.append((name, config_name))
        if name == "owner/lost":
            raise ConnectionError("it has lost\nits way")
        return datasets.DatasetDict({"train": numbered([2, 1])})

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", lambda *_, **__: None)
    assert _rows(open_source("owner/name", config_name="small")) == {"train": 3}
    with pytest.raises(
        ValueError, match=r"no local file .*owner.*ConnectionError: it has lost its way"
    ):
        open_source("owner/lost")
    for no_id in ("./owner/name", "a/b/c.parquet", "", "~/nothing here", Path("owner/name")):
        with pytest.raises(ValueError, match=r"no local file or folder .* form of a hub id"):
            open_source(no_id)
    with pytest.raises(ValueError, match="a file format"):
        open_source("imagefolder")
    assert asked == [("owner/name", "small"), ("owner/lost", None)]


def test_wrong_folders_are_refused(
    tmp_path: Path, numbered: Numbered, png_folder: PngFolder
) -> None:
    with pytest.raises(ValueError, match=r"mixes names of splits .*bird"):
        open_source(png_folder({"train": [0], "bird": [1]}, "mixed"))
    with pytest.raises(ValueError, match=r"0 folders and 2 images outside of them: 0\.png"):
        open_source(png_folder({".": [0, 1]}, "flat"))
    with pytest.raises(ValueError, match="1 folders and 1 images outside"):
        open_source(png_folder({".": [0], "cat": [1]}, "stray"))
    with pytest.raises(ValueError, match=r"class folder .*empty holds no images"):
        open_source(png_folder({"cat": [0], "empty": []}, "hollow"))
    (tmp_path / "tables").mkdir()
    numbered([1, 1]).to_parquet(tmp_path / "tables" / "train.parquet")
    numbered([1, 1]).to_parquet(tmp_path / "tables" / "other.parquet")
    with pytest.raises(ValueError, match="mixes names of splits"):
        open_source(tmp_path / "tables")
    for name in ("one", "two"):
        (tmp_path / "configs" / name).mkdir(parents=True)
        numbered([1, 1]).to_parquet(tmp_path / "configs" / name / "train.parquet")
    with pytest.raises(ValueError, match="several datasets"):
        open_source(tmp_path / "configs")


def test_wrong_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(ValueError, match=r"notes\.txt is not one of the files that can be read"):
        open_source(tmp_path / "notes.txt")
    with pytest.raises(TypeError, match="`source` must be a str or a Path, got 3"):
        open_source(3)  # type: ignore[arg-type]


def test_a_broken_file_is_refused_with_its_cause(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "train.parquet").write_bytes(b"not a table at all")
    with pytest.raises(ValueError, match=r"Cannot read .*Parquet"):
        open_source(tmp_path)


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("train", "train"),
        ("train-00000-of-00002", "train"),
        ("Test_2", "test"),
        ("validation_matched", "validation"),
        ("val", "validation"),
        ("valid-0", "validation"),
        ("values", None),
        ("device", None),
        ("part-1", None),
    ],
)
def test_split_roles(name: str, role: str | None) -> None:
    assert split_role(name) == role


def test_class_folders_are_not_taken_for_splits() -> None:
    assert [folder_role(name) for name in ("trains", "testudo", "value")] == [None] * 3
    assert folder_role("Training") == "train"


@pytest.mark.parametrize(
    ("names", "arguments", "expected"),
    [
        (["train", "validation", "test"], {}, ("train", "test")),
        (["train", "validation"], {}, ("train", "validation")),
        (["train"], {}, ("train", None)),
        (["full"], {}, ("full", None)),
        (["train", "test"], {"test_split": "train", "train_split": "test"}, ("test", "train")),
        (["train", "test", "val"], {"test_split": "val"}, ("train", "val")),
        (["full", "extra"], {"train_split": "full"}, ("full", None)),
        (["test"], {"train_split": "test"}, ("test", None)),
    ],
)
def test_split_choice(
    names: list[str], arguments: dict[str, Any], expected: tuple[str, str | None]
) -> None:
    splits = dict.fromkeys(names, datasets.Dataset.from_dict({}))
    assert choose_splits(splits, source="x", **arguments) == expected


@pytest.mark.parametrize(
    ("names", "arguments", "message"),
    [
        (["test"], {}, r"which split of x to train on; .* one of \['test'\]"),
        (["full", "extra"], {}, "to train on"),
        (["train_a", "train_b"], {}, "to train on"),
        (["train", "test_a", "test_b"], {}, r"to test on; .* \['test_a', 'test_b'\]"),
        (["train"], {"test_split": "dev"}, r"`test_split`='dev' is not a split of x: \['train'\]"),
        (["train"], {"test_split": "train"}, "must differ"),
    ],
)
def test_doubtful_splits_are_refused(
    names: list[str], arguments: dict[str, Any], message: str
) -> None:
    splits = dict.fromkeys(names, datasets.Dataset.from_dict({}))
    with pytest.raises(ValueError, match=message):
        choose_splits(splits, source="x", **arguments)
