// Package shared has what all programs here need: the records to send, and the answer to print.
package shared

import (
	"encoding/json"
	"fmt"
	"os"
	"time"
)

// Answer is what main.ts compares.
type Answer struct {
	Codecs []string `json:"codecs"`
	First  []string `json:"first"`
	Second []string `json:"second"`
	Shares []int    `json:"shares"`
	Begins []int64  `json:"begins"`
	Ends   []int64  `json:"ends"`
}

// Arguments are the brokers, the topic and the group.
func Arguments() (string, string, string) { return os.Args[1], os.Args[2], os.Args[3] }

// Records returns count distinct values.
func Records(format string, count int) []string {
	values := make([]string, count)
	for index := range values {
		values[index] = fmt.Sprintf(format+" %d", index)
	}
	return values
}

// Must exits with the error, if any.
func Must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Until polls a condition for up to a minute.
func Until(holds func() bool) {
	for deadline := time.Now().Add(time.Minute); !holds() && time.Now().Before(deadline); {
		time.Sleep(50 * time.Millisecond)
	}
}

// Print writes the result of a successful program.
func (answer Answer) Print() { Must(json.NewEncoder(os.Stdout).Encode(answer)) }
