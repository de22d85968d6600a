// What main.ts asks of every client, with segmentio/kafka-go, which has no idempotent producer.
package main

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"clients/shared"

	"github.com/segmentio/kafka-go"
)

var brokers, topic, group = shared.Arguments()

var codecs = []string{"none", "gzip", "snappy", "lz4", "zstd"}

func limited() context.Context {
	ctx, _ := context.WithTimeout(context.Background(), 20*time.Second)
	return ctx
}

func produce(codec string, values []string) {
	writer := &kafka.Writer{Addr: kafka.TCP(brokers), Topic: topic, Balancer: &kafka.RoundRobin{}, BatchTimeout: 20 * time.Millisecond}
	if codec != "none" {
		var compression kafka.Compression
		shared.Must(compression.UnmarshalText([]byte(codec)))
		writer.Compression = compression
	}
	messages := make([]kafka.Message, len(values))
	for index, value := range values {
		messages[index] = kafka.Message{Key: []byte(value), Value: []byte(value)}
	}
	shared.Must(writer.WriteMessages(limited(), messages...))
	shared.Must(writer.Close())
}

func read(count int) []string {
	reader := kafka.NewReader(kafka.ReaderConfig{
		Brokers: []string{brokers}, GroupID: group, Topic: topic, StartOffset: kafka.FirstOffset, MaxWait: 200 * time.Millisecond,
	})
	values := make([]string, count)
	for index := range values {
		message, err := reader.FetchMessage(limited())
		shared.Must(err)
		values[index] = string(message.Value)
		shared.Must(reader.CommitMessages(limited(), message))
	}
	shared.Must(reader.Close())
	return values
}

// join takes part in the group and counts the partitions it is given.
func join() (*atomic.Int64, func()) {
	group, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID: group, Brokers: []string{brokers}, Topics: []string{topic}, HeartbeatInterval: 300 * time.Millisecond,
		JoinGroupBackoff: 100 * time.Millisecond,
	})
	shared.Must(err)
	share := &atomic.Int64{}
	go func() {
		for {
			generation, err := group.Next(context.Background())
			if errors.Is(err, kafka.ErrGroupClosed) {
				return
			}
			// It tells of a rebalance as an error, and goes on.
			if err != nil {
				continue
			}
			share.Store(int64(len(generation.Assignments[topic])))
			generation.Start(func(ctx context.Context) { <-ctx.Done() })
		}
	}()
	return share, func() { shared.Must(group.Close()) }
}

func main() {
	answer := shared.Answer{Codecs: codecs}
	for _, codec := range codecs {
		produce(codec, shared.Records(codec+" record", 40))
	}
	answer.First = read(40 * len(codecs))
	produce("none", shared.Records("later", 10))
	answer.Second = read(10)

	first, leaveFirst := join()
	second, leaveSecond := join()
	shared.Until(func() bool { return first.Load() == 1 && second.Load() == 1 })
	answer.Shares = []int{int(first.Load()), int(second.Load())}
	leaveFirst()
	leaveSecond()

	conn, err := kafka.DialContext(limited(), "tcp", brokers)
	shared.Must(err)
	partitions, err := conn.ReadPartitions(topic)
	shared.Must(err)
	for index := range partitions {
		leader, err := kafka.DialLeader(limited(), "tcp", brokers, topic, index)
		shared.Must(err)
		begin, end, err := leader.ReadOffsets()
		shared.Must(err)
		// The connection's own reader asks in another way than that of a group.
		leader.SetDeadline(time.Now().Add(20 * time.Second))
		_, err = leader.ReadMessage(1 << 20)
		shared.Must(err)
		answer.Begins, answer.Ends = append(answer.Begins, begin), append(answer.Ends, end)
		shared.Must(leader.Close())
	}
	answer.Print()
}
