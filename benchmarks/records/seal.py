"""A record's seal: the hash of all it says, by which a change after it was written is seen."""

from __future__ import annotations

import json
from typing import Any

from .json_files import content_hash
from .schema import SCHEMA_VERSION, finite


def other_version(record: Any) -> bool:
    """Return whether this is a record by another version of the schema, which this version must not set aside."""
    version = record.get("schema_version") if isinstance(record, dict) else None
    return isinstance(version, int) and version != SCHEMA_VERSION


def sealed(record: dict[str, Any]) -> dict[str, Any]:
    """Return the record as JSON gives it back, with the hash of all the rest in `content_hash`."""
    plain = json.loads(json.dumps(finite({k: v for k, v in record.items() if k != "content_hash"}), allow_nan=False))
    return {**plain, "content_hash": content_hash(plain)}


def altered(record: dict[str, Any]) -> list[str]:
    """Return why the record is not what was written, by its hash; empty when it is, or when it has no hash."""
    if "content_hash" not in record:
        return []
    found = content_hash({k: v for k, v in record.items() if k != "content_hash"})
    given = str(record["content_hash"])[:12]
    return [] if record["content_hash"] == found else [
        f"its content was changed after it was written: SHA-256 {found[:12]}..., not {given}..."]
