"""Files of a trial that `optuna-dashboard` shows: drawings, tables, figures.

The content is written to a temporary file first, so that a full disk is met before the trial is
told of an artifact it will never have. A name that was published before keeps its artifact and
gets new content: a resumed trial, which inherits its predecessor's artifacts, does not show
everything twice.
"""

from __future__ import annotations

import io
import mimetypes
from contextlib import suppress
from typing import TYPE_CHECKING

import optuna
from optuna.artifacts import get_all_artifact_meta, upload_artifact
from optuna.artifacts.exceptions import ArtifactNotFound

from optuna_nas.artifacts import ArtifactPlace
from optuna_nas.artifacts.names import safe_name

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["publish"]

# What differs between the type tables of operating systems, or is missing from them.
_MIMETYPES = {".csv": "text/csv", ".jsonl": "application/jsonl", ".svg": "image/svg+xml"}


def publish(
    place: ArtifactPlace, trial: optuna.Trial, name: str, content: str | bytes | go.Figure
) -> str:
    """Attach a file to a trial, or replace the one of the same name.

    Args:
        place: Where the search keeps its files.
        trial: The trial.
        name: The file's name; made safe, and given a suffix if it has none.
        content: Text, bytes, or a plotly figure.

    Returns:
        The artifact's id.

    Raises:
        OSError: If it cannot be written.
        TypeError: If `content` is none of these.
    """
    data, suffix = _data(content)
    filename = safe_name(name, any_case=True)
    if "." not in filename:
        filename += suffix
    with place.workspace() as folder:
        file = folder / filename
        file.write_bytes(data)
        for meta in get_all_artifact_meta(trial):
            if meta.filename == filename:
                with suppress(ArtifactNotFound):  # an id that cannot be one
                    place.store.write(meta.artifact_id, io.BytesIO(data))
                    return meta.artifact_id
        kind = _MIMETYPES.get(file.suffix.lower()) or mimetypes.guess_type(filename)[0]
        return upload_artifact(
            artifact_store=place.store,
            file_path=str(file),
            study_or_trial=trial,
            mimetype=kind,
        )


def _data(content: str | bytes | go.Figure) -> tuple[bytes, str]:
    """Return the bytes of a content and the suffix its name gets if it has none."""
    if isinstance(content, bytes):
        return content, ".bin"
    if isinstance(content, str):
        is_svg = content.lstrip().startswith(("<svg", "<?xml"))
        return content.encode(), ".svg" if is_svg else ".txt"
    if hasattr(content, "to_html"):
        html: str = content.to_html(
            include_plotlyjs=True,
            full_html=True,
            config={"displaylogo": False, "showSendToCloud": False},  # figures stay here
        )
        return html.encode(), ".html"
    raise TypeError(
        f"content is a {type(content).__name__}; text, bytes or a plotly figure can be published."
    )
