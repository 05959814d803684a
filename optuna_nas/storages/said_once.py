"""What is said of a study once: of several processes at the same moment, the first is heard.

Reading, comparing and writing are one step, on each kind of storage in its own way:

- A relational database refuses a second attribute of one name.
- The entries of a journal, in a file or in Redis, have one order, which all of its readers see.
  Each process writes a claim under a name of its own, and the first claim counts.
- Of any other storage, such as a proxy, nothing of that kind is known. There the last one to write
  counts, and each waits for a moment before it looks who that was. It holds unless a process
  stands still for longer than that between two requests.
"""

from __future__ import annotations

import json
import time
import uuid
from typing import TYPE_CHECKING, Any

from optuna.storages import JournalStorage

from optuna_nas import _optuna
from optuna_nas.storages.patient import PatientStorage

if TYPE_CHECKING:
    import optuna
    from optuna.storages import BaseStorage

__all__ = ["say_once"]

_CLAIM = "{}:claim:"
_SETTLED_SECONDS = 2.0
"""Within this time whoever has found nothing said has said it: both are a request each."""


def say_once(study: optuna.Study, key: str, value: Any) -> Any:
    """Set a user attribute of a study, unless it is set.

    Args:
        study: The study.
        key: The name of the attribute.
        value: What it is to be, as JSON values.

    Returns:
        What the attribute is now: `value`, or what was said before, maybe a moment ago.
    """
    storage, study_id = _optuna.storage(study), _optuna.study_id(study)
    found = storage.get_study_user_attrs(study_id)
    if key not in found:
        backend = _optuna.backend(storage)
        if isinstance(backend, PatientStorage):
            backend.add_study_user_attr(study_id, key, value)
        elif isinstance(backend, JournalStorage):
            _claim(backend, study_id, key, value)
        else:
            storage.set_study_user_attr(study_id, key, value)
            time.sleep(_SETTLED_SECONDS)
        found = storage.get_study_user_attrs(study_id)
    return json.loads(json.dumps(found[key]))  # nobody's to change


def _claim(journal: BaseStorage, study_id: int, key: str, value: Any) -> None:
    claim = _CLAIM.format(key)
    journal.set_study_system_attr(study_id, f"{claim}{uuid.uuid4().hex}", value)
    claims = journal.get_study_system_attrs(study_id)  # in the order in which they came
    first = next(said for name, said in claims.items() if name.startswith(claim))
    if key not in journal.get_study_user_attrs(study_id):  # for one that died behind its claim too
        journal.set_study_user_attr(study_id, key, first)
