#!/usr/bin/env python3
"""Writes parquet/: small .parquet files as pyarrow writes them, beside what their rows are as JSON lines. Needs pyarrow 26.

    parquet.py FOLDER
"""

import datetime
import decimal
import json
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

TURN = pa.struct([("role", pa.string()), ("content", pa.string())])


def kinds() -> tuple[pa.Table, list[dict]]:
    """A column of each type that is read, with nulls; the rows as JSON has them."""
    rows = [
        {"text": "a b", "n": 1, "small": -7, "big": 2**63, "x": 0.1, "f": 0.1, "yes": True, "tags": ["p", "q"],
         "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello \u00e9"}],
         "meta": {"source": "web", "scores": [1, None]}, "label": "cat", "day": "2024-02-29", "price": "1.50", "empty": None},
        {"text": "", "n": -(2**62), "small": 0, "big": 0, "x": 1e300, "f": 16777216.0, "yes": False, "tags": [],
         "messages": [], "meta": {"source": None, "scores": None}, "label": "dog", "day": "1970-01-01", "price": "-0.01",
         "empty": None},
        {"text": None, "n": None, "small": None, "big": None, "x": None, "f": None, "yes": None, "tags": None,
         "messages": None, "meta": None, "label": None, "day": None, "price": None, "empty": None},
    ]
    schema = pa.schema([
        ("text", pa.string()), ("n", pa.int64()), ("small", pa.int8()), ("big", pa.uint64()), ("x", pa.float64()),
        ("f", pa.float32()), ("yes", pa.bool_()), ("tags", pa.large_list(pa.large_string())), ("messages", pa.list_(TURN)),
        ("meta", pa.struct([("source", pa.string()), ("scores", pa.list_(pa.int32()))])),
        ("label", pa.dictionary(pa.int8(), pa.string())), ("day", pa.date32()), ("price", pa.decimal128(5, 2)),
        ("empty", pa.null())])
    values = [dict(row, day=row["day"] and datetime.date.fromisoformat(row["day"]),
                   price=row["price"] and decimal.Decimal(row["price"])) for row in rows]
    return pa.Table.from_pylist(values, schema=schema), rows


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    table, rows = kinds()
    pq.write_table(table, folder / "kinds.parquet", compression="zstd", row_group_size=2)
    (folder / "kinds.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    chats = [{"messages": [{"role": "user", "content": f"{n} + 1?"}, {"role": "assistant", "content": str(n + 1)}]}
             for n in range(12)]
    pq.write_table(pa.Table.from_pylist(chats, schema=pa.schema([("messages", pa.list_(TURN))])), folder / "chats.parquet",
                   row_group_size=5, compression="none", use_dictionary=False)
    (folder / "chats.jsonl").write_text("".join(json.dumps(row) + "\n" for row in chats), "utf-8")
    pq.write_table(pa.table({"q": ["a"], "r": [1]}), folder / "columns.parquet")
    pq.write_table(pa.table({"text": ["a", "b"], "image": pa.array([b"text", b"\xff\xd8"], pa.binary())}),
                   folder / "bytes.parquet")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
