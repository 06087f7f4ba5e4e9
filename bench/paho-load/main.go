// A load generator of paho.mqtt.golang, the library of which mqtt-benchmark and mqtt-stresser are made: CLIENTS publish MESSAGES of BYTES together,
// by QoS 1, each with at most WINDOW unacknowledged. It prints one line of JSON when all are acknowledged.
package main

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

func number(name string) int {
	value, err := strconv.Atoi(os.Getenv(name))
	must(err)
	return value
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func connect(device string) mqtt.Client {
	options := mqtt.NewClientOptions().AddBroker("tcp://127.0.0.1:" + os.Getenv("PORT")).SetClientID(device)
	client := mqtt.NewClient(options)
	token := client.Connect()
	token.Wait()
	must(token.Error())
	return client
}

func publish(client mqtt.Client, topic string, payload []byte, count int, window int) {
	unacknowledged := make(chan mqtt.Token, window-1)
	var acknowledged sync.WaitGroup
	acknowledged.Add(1)
	go func() {
		defer acknowledged.Done()
		for token := range unacknowledged {
			token.Wait()
			must(token.Error())
		}
	}()
	for index := 0; index < count; index++ {
		unacknowledged <- client.Publish(topic, 1, false, payload)
	}
	close(unacknowledged)
	acknowledged.Wait()
}

func main() {
	clients, messages, window := number("CLIENTS"), number("MESSAGES"), number("WINDOW")
	payload := make([]byte, number("BYTES"))
	_, err := rand.Read(payload)
	must(err)
	var connected []mqtt.Client
	for index := 1; index <= clients; index++ {
		connected = append(connected, connect(fmt.Sprintf("sim-%d", index)))
	}
	began := time.Now()
	var all sync.WaitGroup
	for index, client := range connected {
		all.Add(1)
		go func() {
			defer all.Done()
			publish(client, fmt.Sprintf("devices/sim-%d/telemetry/environment", index+1), payload, messages/clients, window)
		}()
	}
	all.Wait()
	elapsed := time.Since(began)
	var usage syscall.Rusage
	must(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	cpu := time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	must(json.NewEncoder(os.Stdout).Encode(map[string]any{
		"messages":  messages / clients * clients,
		"elapsedMs": elapsed.Seconds() * 1000,
		"cpuMs":     cpu.Seconds() * 1000,
	}))
}
