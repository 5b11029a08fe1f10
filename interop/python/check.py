"""Holds the test server against the official Python client.

Usage: check.py HOST:PORT [NAMESPACE]. Ends with 0 if every check passes.
"""

import sys
import tempfile
from pathlib import Path

import aerospike
from aerospike import exception as errors
from aerospike_helpers.batch import records as batch
from aerospike_helpers.operations import operations

SET = "check"
LUA = "function first(record)\n return record['int']\nend\n"
BINS = {
    "int": -(2**63),
    "float": 2.5,
    "string": "gr\u00fc\u00dfe",
    "empty": "",
    "bytes": b"\x00\xff",
    "true": True,
    "false": False,
    "list": [1, "two", [3.0, None], b"four"],
    "map": {"a": 1, 2: "b", "c": {"d": [1]}},
    "geo": aerospike.GeoJSON({"type": "Point", "coordinates": [-122.1, 37.4]}),
}


def main(address, namespace="test"):
    # The client keeps a copy of every module that it registers; by default where it is started.
    with tempfile.TemporaryDirectory() as modules:
        run_checks(address, namespace, modules)


def run_checks(address, namespace, modules):
    host, port = address.rsplit(":", 1)
    config = {"hosts": [(host, int(port))], "lua": {"user_path": modules}}
    client = aerospike.client(config).connect()
    checks = [
        every_type_comes_back,
        one_bin_is_selected,
        record_is_touched_and_removed,
        rules_of_writing_hold,
        operations_come_in_order,
        scan_returns_every_record,
        query_reads_a_partition_range,
        batch_writes_and_reads,
        set_is_truncated,
        index_is_made_and_removed,
        udf_is_stored_listed_and_removed,
    ]
    for check in checks:
        client.truncate(namespace, None, 0)
        check(client, namespace)
        print(f"ok {check.__name__}")
    client.close()


def every_type_comes_back(client, namespace):
    for user_key in ("text", 7, bytearray(b"\x01\x02")):
        key = (namespace, SET, user_key)
        client.put(key, BINS, policy={"key": aerospike.POLICY_KEY_SEND})
        _, meta, bins = client.get(key)
        assert meta["gen"] == 1, meta
        assert set(bins) == set(BINS), bins
        for name, value in BINS.items():
            if name == "geo":
                assert bins[name].unwrap() == value.unwrap()
            else:
                assert bins[name] == value and type(bins[name]) is type(value), (name, bins[name])


def one_bin_is_selected(client, namespace):
    key = (namespace, SET, "selected")
    client.put(key, BINS)
    _, _, bins = client.select(key, ["int", "no such bin"])
    assert bins == {"int": BINS["int"]}, bins


def record_is_touched_and_removed(client, namespace):
    key = (namespace, SET, "touched")
    expect(errors.RecordNotFound, client.touch, key)
    client.put(key, {"a": 1}, policy={"ttl": 1000})
    client.touch(key, 5000)
    _, meta = client.exists(key)
    assert meta["gen"] == 2 and 4990 <= meta["ttl"] <= 5000, meta
    client.remove_bin(key, ["a"])
    expect(errors.RecordNotFound, client.get, key)
    client.put(key, {"a": 1})
    client.remove(key)
    assert client.exists(key)[1] is None
    expect(errors.RecordNotFound, client.remove, key)


def rules_of_writing_hold(client, namespace):
    key = (namespace, SET, "rules")
    exists = lambda rule: {"exists": rule}
    expect(errors.RecordNotFound, client.put, key, {"a": 1}, policy=exists(aerospike.POLICY_EXISTS_UPDATE))
    client.put(key, {"a": 1, "b": 2}, policy=exists(aerospike.POLICY_EXISTS_CREATE))
    expect(errors.RecordExistsError, client.put, key, {"a": 2}, policy=exists(aerospike.POLICY_EXISTS_CREATE))
    client.put(key, {"a": 3}, policy=exists(aerospike.POLICY_EXISTS_REPLACE))
    assert client.get(key)[2] == {"a": 3}
    greater = {"gen": aerospike.POLICY_GEN_GT}
    expect(errors.RecordGenerationError, client.put, key, {"a": 4}, meta={"gen": 2}, policy=greater)
    client.put(key, {"b": 5}, meta={"gen": 3}, policy=greater)
    assert client.get(key)[1:] == ({"gen": 3, "ttl": 2**32 - 1}, {"a": 3, "b": 5})
    expect(errors.BinNameError, client.put, key, {"a name over 15b": 1, "0123456789abcdef": 1})
    expect(errors.RecordTooBig, client.put, key, {"big": bytes(1024 * 1024)})


def operations_come_in_order(client, namespace):
    key = (namespace, SET, "operate")
    steps = [operations.write("a", 1), operations.read("a"), operations.write("a", 2), operations.touch()]
    expect(errors.RecordNotFound, client.operate, key, steps)
    _, _, bins = client.operate(key, steps[:3])
    assert bins == {"a": 1}, bins
    assert client.get(key)[2] == {"a": 2}
    _, meta, bins = client.operate(key, [operations.delete(), operations.write("b", 3)])
    assert meta["gen"] == 2 and client.get(key)[2] == {"b": 3}


def scan_returns_every_record(client, namespace):
    put_many(client, namespace, 500)
    client.put((namespace, "other", 1), {"n": 1})
    found = client.scan(namespace, SET).results()
    assert sorted(bins["n"] for _, _, bins in found) == list(range(500))
    assert len(client.scan(namespace).results()) == 501
    scan = client.scan(namespace, SET)
    scan.select("n")
    assert all(set(bins) == {"n"} for _, _, bins in scan.results())
    scan = client.scan(namespace, SET)
    assert len(scan.results({"max_records": 7})) == 7
    bare = []
    client.scan(namespace, "other").foreach(lambda record: bare.append(record[2]), None, {"nobins": True})
    assert bare in ([{}], [None]), bare


def query_reads_a_partition_range(client, namespace):
    put_many(client, namespace, 500)
    parts = [{"begin": 0, "count": 1000}, {"begin": 1000, "count": 3096}]
    numbers = []
    for part in parts:
        found = client.query(namespace, SET).results({"partition_filter": part})
        assert 0 < len(found) < 500
        for (_, _, _, digest), _, bins in found:
            partition = int.from_bytes(digest[:2], "little") % 4096
            assert part["begin"] <= partition < part["begin"] + part["count"]
            numbers.append(bins["n"])
    assert sorted(numbers) == list(range(500))


def batch_writes_and_reads(client, namespace):
    keys = [(namespace, SET, number) for number in range(300)]
    writes = [batch.Write(key, [operations.write("n", key[2]), operations.write("s", "x")]) for key in keys]
    client.batch_write(batch.BatchRecords(writes))
    assert all(row.result == 0 for row in writes), [row.result for row in writes]
    found = client.batch_read(keys + [(namespace, SET, "missing")]).batch_records
    assert [row.result for row in found] == [0] * 300 + [2]
    assert [row.record[2] for row in found[:300]] == [{"n": number, "s": "x"} for number in range(300)]
    found = client.batch_read(keys, ["s"]).batch_records
    assert all(row.record[2] == {"s": "x"} for row in found)
    found = client.batch_read(keys, []).batch_records
    assert all(row.result == 0 and row.record[1]["gen"] == 1 for row in found)
    create_only = {"exists": aerospike.POLICY_EXISTS_CREATE}
    mixed = [
        batch.Write(keys[0], [operations.write("n", -1)], policy=create_only),
        batch.Read(keys[1], [operations.read("n")]),
        batch.Remove(keys[2]),
        batch.Read(keys[3], None, read_all_bins=True),
    ]
    client.batch_write(batch.BatchRecords(mixed))
    assert [row.result for row in mixed] == [5, 0, 0, 0], [row.result for row in mixed]
    assert mixed[1].record[2] == {"n": 1} and mixed[3].record[2] == {"n": 3, "s": "x"}
    removed = client.batch_remove(keys).batch_records
    assert [row.result for row in removed].count(2) == 1


def set_is_truncated(client, namespace):
    put_many(client, namespace, 20)
    client.put((namespace, "other", 1), {"n": 1})
    client.truncate(namespace, SET, 0)
    assert len(client.scan(namespace).results()) == 1


def index_is_made_and_removed(client, namespace):
    client.index_single_value_create(namespace, SET, "n", aerospike.INDEX_NUMERIC, "ix_check")
    client.index_single_value_create(namespace, SET, "n", aerospike.INDEX_NUMERIC, "ix_check")
    other = (namespace, SET, "other", aerospike.INDEX_STRING, "ix_check")
    expect(errors.IndexFoundError, client.index_single_value_create, *other)
    assert "indexname=ix_check" in info(client, f"sindex-list:namespace={namespace}")
    client.index_remove(namespace, "ix_check")
    assert "ix_check" not in info(client, f"sindex-list:namespace={namespace}")


def udf_is_stored_listed_and_removed(client, _namespace):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "check.lua"
        path.write_text(LUA)
        client.udf_put(str(path), aerospike.UDF_TYPE_LUA)
    assert "check.lua" in [module["name"] for module in client.udf_list()]
    assert client.udf_get("check.lua", aerospike.UDF_TYPE_LUA) == LUA
    client.udf_remove("check.lua")
    assert "check.lua" not in [module["name"] for module in client.udf_list()]
    expect(errors.AerospikeError, client.udf_get, "check.lua", aerospike.UDF_TYPE_LUA)


def put_many(client, namespace, count):
    for number in range(count):
        client.put((namespace, SET, number), {"n": number, "s": "x"})


def info(client, command):
    return client.info_random_node(command)


def expect(error, call, *arguments, **options):
    try:
        call(*arguments, **options)
    except error:
        return
    raise AssertionError(f"{call.__name__}{arguments} should have failed with {error.__name__}")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(*sys.argv[1:])
