"""What `main.ts` asks of every client, with kafka-python."""
import json
import sys
import threading

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

brokers, topic, group = sys.argv[1:4]
codecs = ["none", "gzip", "snappy", "lz4"]


def consumer():
    return KafkaConsumer(
        topic,
        bootstrap_servers=brokers,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        heartbeat_interval_ms=300,
    )


def produce(codec, values):
    producer = KafkaProducer(bootstrap_servers=brokers, compression_type=None if codec == "none" else codec, linger_ms=20)
    for sent in [producer.send(topic, value.encode(), key=value.encode()) for value in values]:
        sent.get(20)
    producer.close()


def read(count):
    member = consumer()
    values = [next(member).value.decode() for _ in range(count)]
    member.commit()
    member.close()
    return values


class Member(threading.Thread):
    """One thread each, since this client does nothing between polls."""

    def __init__(self, done):
        super().__init__(daemon=True)
        self.consumer, self.done, self.share = consumer(), done, 0

    def run(self):
        while not self.done.is_set():
            self.consumer.poll(100)
            self.share = len(self.consumer.assignment())
        self.consumer.close()


for codec in codecs:
    produce(codec, [f"{codec} record {number}" for number in range(40)])
first = read(40 * len(codecs))
produce("none", [f"later {number}" for number in range(10)])
second = read(10)

done = threading.Event()
members = [Member(done), Member(done)]
# One after the other: of two that join an empty group at the same moment, version 3.0.12 sometimes leaves one
# without partitions.
members[0].start()
while members[0].share < 2 and members[0].is_alive():
    done.wait(0.1)
members[1].start()
for _ in range(600):
    shares = [member.share for member in members]
    if shares == [1, 1]:
        break
    done.wait(0.1)
done.set()
for member in members:
    member.join()

looking = KafkaConsumer(bootstrap_servers=brokers)
partitions = [TopicPartition(topic, number) for number in sorted(looking.partitions_for_topic(topic))]
begins, ends = looking.beginning_offsets(partitions), looking.end_offsets(partitions)
looking.close()
print(json.dumps({
    "codecs": codecs,
    "first": first,
    "second": second,
    "shares": shares,
    "begins": [begins[one] for one in partitions],
    "ends": [ends[one] for one in partitions],
}))
