// A device of paho.golang, as strangers.test.ts wants it.
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/eclipse/paho.golang/paho"
)

func pointer[T any](value T) *T { return &value }

func must(err error) {
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
}

func publish(ctx context.Context, client *paho.Client, topic string) {
	answer, err := client.Publish(ctx, &paho.Publish{
		Topic:   topic,
		QoS:     1,
		Payload: []byte(`{"ts":1763900000123,"temperature":21.3}`),
		Properties: &paho.PublishProperties{
			ContentType:   "application/json",
			MessageExpiry: pointer(uint32(60)),
			User:          paho.UserProperties{{Key: "site", Value: "north"}},
		},
	})
	if answer == nil {
		must(err)
	}
	words := ""
	if answer.Properties != nil {
		words = answer.Properties.ReasonString
	}
	fmt.Println("puback", answer.ReasonCode, words)
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := net.Dial("tcp", "127.0.0.1:"+os.Getenv("PORT"))
	must(err)
	told := make(chan string, 8)
	client := paho.NewClient(paho.ClientConfig{
		Conn: conn,
		OnPublishReceived: []func(paho.PublishReceived) (bool, error){
			func(received paho.PublishReceived) (bool, error) {
				told <- received.Packet.Topic
				return true, nil
			},
		},
	})
	connack, err := client.Connect(ctx, &paho.Connect{
		ClientID:     "truck-7",
		KeepAlive:    30,
		CleanStart:   true,
		UsernameFlag: true,
		Username:     "truck-7",
		PasswordFlag: true,
		Password:     []byte(os.Getenv("TELLTALE_TOKEN")),
		Properties: &paho.ConnectProperties{
			SessionExpiryInterval: pointer(uint32(60)),
			ReceiveMaximum:        pointer(uint16(10)),
			// Otherwise it asks not to be told why.
			RequestProblemInfo: true,
			User:               paho.UserProperties{{Key: "firmware", Value: "1.4"}},
		},
	})
	must(err)
	fmt.Println("connack", connack.ReasonCode)
	suback, err := client.Subscribe(ctx, &paho.Subscribe{
		Subscriptions: []paho.SubscribeOptions{{Topic: "devices/truck-7/errors", QoS: 1}},
	})
	must(err)
	fmt.Println("suback", suback.Reasons[0])
	publish(ctx, client, "devices/truck-7/telemetry/environment")
	publish(ctx, client, "devices/truck-8/telemetry/environment")
	select {
	case topic := <-told:
		fmt.Println("told", topic)
	case <-ctx.Done():
		must(ctx.Err())
	}
	must(client.Disconnect(&paho.Disconnect{}))
}
