package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/hamba/avro/v2"
)

type Motor struct {
	Speed int64    `avro:"speed"`
	Load  *float32 `avro:"load"`
}

type Machine struct {
	Ts          time.Time `avro:"ts"`
	Temperature *float32  `avro:"temperature"`
	Line        string    `avro:"line"`
	State       string    `avro:"state"`
	Motor       *Motor    `avro:"motor"`
	Cycles      int64     `avro:"cycles"`
	Offset      int32     `avro:"offset"`
	Alarm       bool      `avro:"alarm"`
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func print(schema avro.Schema, value any) {
	mark := must(schema.FingerprintUsing(avro.CRC64Avro))
	// On the wire it is little-endian.
	slices.Reverse(mark)
	fmt.Printf("c301%x%x\n", mark, must(avro.Marshal(schema, value)))
}

func main() {
	schema := must(avro.Parse(string(must(os.ReadFile(os.Args[1])))))
	ms := must(strconv.ParseInt(os.Args[2], 10, 64))
	at := func(after int64) time.Time { return time.UnixMilli(ms + after) }
	warm, load, zero := float32(21.3), float32(0.75), float32(0)
	print(schema, Machine{
		Ts:          at(0),
		Temperature: &warm,
		Line:        "Süd-3",
		State:       "running",
		Motor:       &Motor{Speed: 1450, Load: &load},
		Cycles:      1<<53 - 2,
		Offset:      -7,
		Alarm:       true,
	})
	print(avro.NewArraySchema(schema), []Machine{
		{Ts: at(1), State: "stopped"},
		{Ts: at(2), State: "stopped", Temperature: &zero, Offset: 1<<31 - 1},
	})
}
