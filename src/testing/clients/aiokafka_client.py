"""What `main.ts` asks of every client, with aiokafka."""
import asyncio
import json
import sys

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

brokers, topic, group = sys.argv[1:4]
codecs = ["none", "gzip", "snappy", "lz4", "zstd"]


def consumer():
    return AIOKafkaConsumer(
        topic,
        bootstrap_servers=brokers,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        metadata_max_age_ms=500,
    )


async def produce(codec, idempotent, values):
    compression = None if codec == "none" else codec
    producer = AIOKafkaProducer(
        bootstrap_servers=brokers, enable_idempotence=idempotent, compression_type=compression, linger_ms=20
    )
    await producer.start()
    await asyncio.gather(*[await producer.send(topic, value.encode(), key=value.encode()) for value in values])
    await producer.stop()


async def read(count):
    member = consumer()
    await member.start()
    values = [(await asyncio.wait_for(member.getone(), 20)).value.decode() for _ in range(count)]
    await member.commit()
    await member.stop()
    return values


async def main():
    for codec in codecs:
        await produce(codec, codec != "none", [f"{codec} record {number}" for number in range(40)])
    first = await read(40 * len(codecs))
    await produce("none", True, [f"later {number}" for number in range(10)])
    second = await read(10)

    members = [consumer(), consumer()]
    await asyncio.gather(*[member.start() for member in members])
    for _ in range(600):
        await asyncio.gather(*[member.getmany(timeout_ms=100) for member in members])
        shares = [len(member.assignment()) for member in members]
        if shares == [1, 1]:
            break
    partitions = [TopicPartition(topic, number) for number in sorted(members[0].partitions_for_topic(topic))]
    begins = await members[0].beginning_offsets(partitions)
    ends = await members[0].end_offsets(partitions)
    await asyncio.gather(*[member.stop() for member in members])
    print(json.dumps({
        "codecs": codecs,
        "first": first,
        "second": second,
        "shares": shares,
        "begins": [begins[one] for one in partitions],
        "ends": [ends[one] for one in partitions],
    }))


asyncio.run(main())
