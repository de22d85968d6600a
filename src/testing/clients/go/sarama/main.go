// What main.ts asks of every client, with sarama. A fourth argument switches the negotiation of versions off.
package main

import (
	"context"
	"os"
	"sync/atomic"
	"time"

	"clients/shared"

	"github.com/IBM/sarama"
)

var brokers, topic, group = shared.Arguments()

var codecs = []string{"none", "gzip", "snappy", "lz4", "zstd"}

func newConfig() *sarama.Config {
	config := sarama.NewConfig()
	config.ApiVersionsRequest = len(os.Args) < 5
	config.Producer.Return.Successes = true
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Flush.Frequency = 20 * time.Millisecond
	config.Net.MaxOpenRequests = 1
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Enable = false
	config.Consumer.Group.Heartbeat.Interval = 300 * time.Millisecond
	return config
}

func produce(codec string, idempotent bool, values []string) {
	config := newConfig()
	config.Producer.Idempotent = idempotent
	shared.Must(config.Producer.Compression.UnmarshalText([]byte(codec)))
	producer, err := sarama.NewSyncProducer([]string{brokers}, config)
	shared.Must(err)
	messages := make([]*sarama.ProducerMessage, len(values))
	for index, value := range values {
		messages[index] = &sarama.ProducerMessage{Topic: topic, Key: sarama.StringEncoder(value), Value: sarama.StringEncoder(value)}
	}
	shared.Must(producer.SendMessages(messages))
	shared.Must(producer.Close())
}

// member hands on what it reads and counts the partitions it has.
type member struct {
	values chan *sarama.ConsumerMessage
	share  atomic.Int64
	commit func(sarama.ConsumerGroupSession, *sarama.ConsumerMessage)
}

func (one *member) Setup(session sarama.ConsumerGroupSession) error {
	one.share.Store(int64(len(session.Claims()[topic])))
	return nil
}

func (one *member) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (one *member) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for message := range claim.Messages() {
		session.MarkMessage(message, "")
		session.Commit()
		one.values <- message
	}
	return nil
}

func join() (*member, func()) {
	client, err := sarama.NewConsumerGroup([]string{brokers}, group, newConfig())
	shared.Must(err)
	ctx, cancel := context.WithCancel(context.Background())
	one := &member{values: make(chan *sarama.ConsumerMessage, 10_000)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			shared.Must(client.Consume(ctx, []string{topic}, one))
		}
	}()
	return one, func() {
		cancel()
		<-done
		shared.Must(client.Close())
	}
}

func read(count int) []string {
	one, leave := join()
	defer leave()
	values := make([]string, 0, count)
	for len(values) < count {
		select {
		case message := <-one.values:
			values = append(values, string(message.Value))
		case <-time.After(20 * time.Second):
			shared.Must(context.DeadlineExceeded)
		}
	}
	return values
}

func main() {
	answer := shared.Answer{Codecs: codecs}
	for _, codec := range codecs {
		produce(codec, codec != "none", shared.Records(codec+" record", 40))
	}
	answer.First = read(40 * len(codecs))
	produce("none", true, shared.Records("later", 10))
	answer.Second = read(10)

	first, leaveFirst := join()
	second, leaveSecond := join()
	shared.Until(func() bool { return first.share.Load() == 1 && second.share.Load() == 1 })
	answer.Shares = []int{int(first.share.Load()), int(second.share.Load())}
	leaveFirst()
	leaveSecond()

	client, err := sarama.NewClient([]string{brokers}, newConfig())
	shared.Must(err)
	partitions, err := client.Partitions(topic)
	shared.Must(err)
	for _, partition := range partitions {
		begin, err := client.GetOffset(topic, partition, sarama.OffsetOldest)
		shared.Must(err)
		end, err := client.GetOffset(topic, partition, sarama.OffsetNewest)
		shared.Must(err)
		answer.Begins, answer.Ends = append(answer.Begins, begin), append(answer.Ends, end)
	}
	answer.Print()
}
