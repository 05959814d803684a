"""Places by their address: folders, and buckets of S3 and of what speaks its protocol."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from optuna.artifacts import Boto3ArtifactStore

from optuna_nas.artifacts.bucket import ArtifactBucket
from optuna_nas.artifacts.folder import ArtifactFolder
from optuna_nas.artifacts.place import ArtifactPlace

__all__ = ["is_bucket", "open_artifacts"]

_CONNECT_SECONDS = 10
_SILENCE_SECONDS = 60
_ATTEMPTS = 6


def open_artifacts(artifacts: str | Path | ArtifactPlace) -> ArtifactPlace:
    """Return the place of an address; nothing is written there yet.

    Args:
        artifacts: A folder, `s3://bucket/prefix`, or a place, which is returned as it is. Who one
            is at S3, and where it is, boto3 finds out as always: from environment variables such
            as `AWS_PROFILE` and `AWS_ENDPOINT_URL_S3`, and from `~/.aws`.

    Raises:
        ValueError: The address is malformed, there is a file at it, or `boto3` is not installed.
    """
    if isinstance(artifacts, ArtifactPlace):
        return artifacts
    if not is_bucket(artifacts):
        return ArtifactFolder(Path(artifacts))
    url = urlsplit(str(artifacts))
    if url.scheme != "s3" or not url.netloc or url.query or url.fragment or "@" in url.netloc:
        raise ValueError(
            f"`artifacts` is {str(artifacts)!r}; allowed are a folder and s3://bucket/prefix."
        )
    return ArtifactBucket(_s3(url.netloc), f"s3://{url.netloc}", prefix=url.path)


def is_bucket(artifacts: str | Path) -> bool:
    """Whether this is an address of a network rather than a folder."""
    return isinstance(artifacts, str) and "://" in artifacts


def _s3(bucket: str) -> Boto3ArtifactStore:
    try:
        import boto3
        from botocore.config import Config
    except ImportError:
        raise ValueError(
            f"`artifacts` is 's3://{bucket}', which needs boto3: pip install 'optuna-nas[s3]'."
        ) from None
    config = Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_SILENCE_SECONDS,
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
    )
    return Boto3ArtifactStore(bucket, boto3.client("s3", config=config))
