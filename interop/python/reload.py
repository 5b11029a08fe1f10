"""Dumps a namespace of one test server through the official Python client and loads it into another.

Usage: reload.py FROM_HOST:PORT TO_HOST:PORT NAMESPACE. Prints what the client couldn't read or write, and ends with 0: what
came through is compared by the caller.
"""

import sys

import aerospike
from aerospike import exception as errors

PARTITIONS = 4096


def main(source, target, namespace):
    source, target = connect(source), connect(target)
    loaded = failed = 0
    for partition in range(PARTITIONS):
        # One partition at a time: a record that the client can't read costs those beside it and no others.
        try:
            records = source.query(namespace).results({"partition_filter": {"begin": partition, "count": 1}})
        except Exception as error:
            failed += 1
            print(f"cannot read partition {partition}: {describe(error)}")
            continue
        for record in records:
            try:
                load(target, namespace, record)
                loaded += 1
            except Exception as error:
                failed += 1
                print(f"cannot write a record of partition {partition}: {describe(error)}")
    print(f"{loaded} records loaded, {failed} failures")
    source.close()
    target.close()


def connect(address):
    host, port = address.rsplit(":", 1)
    return aerospike.client({"hosts": [(host, int(port))]}).connect()


def load(client, namespace, record):
    (_, set_name, user_key, digest), meta, bins = record
    if user_key is None:
        key, policy = (namespace, set_name, None, digest), {}
    else:
        key, policy = (namespace, set_name, user_key), {"key": aerospike.POLICY_KEY_SEND}
    never = meta["ttl"] == 2**32 - 1
    client.put(key, bins, meta={"ttl": aerospike.TTL_NEVER_EXPIRE if never else meta["ttl"]}, policy=policy)


def describe(error):
    if isinstance(error, errors.AerospikeError):
        return f"{type(error).__name__} {error.code} {error.msg}"
    return f"{type(error).__name__} {error}"


if __name__ == "__main__":
    main(*sys.argv[1:])
