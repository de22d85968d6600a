"""The checks of `main.ts` with confluent-kafka, which is librdkafka."""
import json
import sys

from confluent_kafka import Consumer, Producer, TopicPartition

brokers, topic, group = sys.argv[1:4]
codecs = ["none", "gzip", "snappy", "lz4", "zstd"]


def consumer():
    member = Consumer({
        "bootstrap.servers": brokers,
        "group.id": group,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "heartbeat.interval.ms": 300,
    })
    member.subscribe([topic])
    return member


def produce(codec, idempotent, values):
    producer = Producer({
        "bootstrap.servers": brokers,
        "enable.idempotence": idempotent,
        "compression.type": codec,
        "linger.ms": 50,
    })
    failed = []
    for value in values:
        producer.produce(topic, value, key=value, on_delivery=lambda error, _: error and failed.append(error))
    if producer.flush(20) or failed:
        raise RuntimeError(f"not delivered: {failed}")


def read(count):
    member, values = consumer(), []
    while len(values) < count:
        record = member.poll(20)
        if record is None or record.error():
            raise RuntimeError(f"{len(values)} of {count} records: {record and record.error()}")
        values.append(record.value().decode())
    member.commit(asynchronous=False)
    member.close()
    return values


for codec in codecs:
    produce(codec, codec != "none", [f"{codec} record {number}" for number in range(40)])
first = read(40 * len(codecs))
produce("none", True, [f"later {number}" for number in range(10)])
second = read(10)

members = [consumer(), consumer()]
for _ in range(1200):
    for member in members:
        member.poll(0.05)
    shares = [len(member.assignment()) for member in members]
    if shares == [1, 1]:
        break
partitions = sorted(members[0].list_topics(topic).topics[topic].partitions)
bounds = [members[0].get_watermark_offsets(TopicPartition(topic, number)) for number in partitions]
for member in members:
    member.close()
print(json.dumps({
    "codecs": codecs,
    "first": first,
    "second": second,
    "shares": shares,
    "begins": [begin for begin, _ in bounds],
    "ends": [end for _, end in bounds],
}))
