// What main.ts asks of every client, with twmb/franz-go.
package main

import (
	"context"
	"sync/atomic"
	"time"

	"clients/shared"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

var brokers, topic, group = shared.Arguments()

var codecs = []string{"none", "gzip", "snappy", "lz4", "zstd"}

var compressions = map[string]kgo.CompressionCodec{
	"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
	"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
}

func limited() context.Context {
	ctx, _ := context.WithTimeout(context.Background(), 20*time.Second)
	return ctx
}

func newClient(options ...kgo.Opt) *kgo.Client {
	client, err := kgo.NewClient(append(options, kgo.SeedBrokers(brokers), kgo.MetadataMinAge(100*time.Millisecond))...)
	shared.Must(err)
	return client
}

func produce(codec string, idempotent bool, values []string) {
	options := []kgo.Opt{kgo.ProducerBatchCompression(compressions[codec]), kgo.ProducerLinger(20 * time.Millisecond)}
	if !idempotent {
		options = append(options, kgo.DisableIdempotentWrite())
	}
	client := newClient(options...)
	defer client.Close()
	records := make([]*kgo.Record, len(values))
	for index, value := range values {
		records[index] = &kgo.Record{Topic: topic, Key: []byte(value), Value: []byte(value)}
	}
	shared.Must(client.ProduceSync(limited(), records...).FirstErr())
}

func member(share *atomic.Int64) *kgo.Client {
	count := func(by int64) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, partitions map[string][]int32) {
			share.Add(by * int64(len(partitions[topic])))
		}
	}
	return newClient(
		kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(), kgo.HeartbeatInterval(300*time.Millisecond),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.OnPartitionsAssigned(count(1)), kgo.OnPartitionsRevoked(count(-1)),
	)
}

func read(count int) []string {
	client := member(&atomic.Int64{})
	defer client.Close()
	var values []string
	for len(values) < count {
		fetches := client.PollFetches(limited())
		shared.Must(fetches.Err())
		fetches.EachRecord(func(record *kgo.Record) { values = append(values, string(record.Value)) })
	}
	shared.Must(client.CommitUncommittedOffsets(limited()))
	return values
}

func listOffset(client *kgo.Client, partition int32, timestamp int64) int64 {
	request := kmsg.NewPtrListOffsetsRequest()
	request.ReplicaID = -1
	part := kmsg.NewListOffsetsRequestTopicPartition()
	part.Partition, part.Timestamp = partition, timestamp
	request.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: topic, Partitions: []kmsg.ListOffsetsRequestTopicPartition{part}}}
	response, err := request.RequestWith(limited(), client)
	shared.Must(err)
	return response.Topics[0].Partitions[0].Offset
}

func main() {
	answer := shared.Answer{Codecs: codecs}
	for _, codec := range codecs {
		produce(codec, codec != "none", shared.Records(codec+" record", 40))
	}
	answer.First = read(40 * len(codecs))
	produce("none", true, shared.Records("later", 10))
	answer.Second = read(10)

	var first, second atomic.Int64
	members := []*kgo.Client{member(&first), member(&second)}
	shared.Until(func() bool { return first.Load() == 1 && second.Load() == 1 })
	answer.Shares = []int{int(first.Load()), int(second.Load())}
	for _, client := range members {
		client.Close()
	}

	client := newClient()
	request := kmsg.NewPtrMetadataRequest()
	asking := kmsg.NewMetadataRequestTopic()
	asking.Topic = &topic
	request.Topics = []kmsg.MetadataRequestTopic{asking}
	metadata, err := request.RequestWith(limited(), client)
	shared.Must(err)
	for partition := range int32(len(metadata.Topics[0].Partitions)) {
		answer.Begins = append(answer.Begins, listOffset(client, partition, -2))
		answer.Ends = append(answer.Ends, listOffset(client, partition, -1))
	}
	answer.Print()
}
