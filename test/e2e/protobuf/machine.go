package main

import (
	"encoding/hex"
	"fmt"
	"os"
	"strconv"

	"google.golang.org/protobuf/proto"

	"stranger/machine"
)

func print(message proto.Message) {
	bytes, err := proto.Marshal(message)
	if err != nil {
		panic(err)
	}
	fmt.Println(hex.EncodeToString(bytes))
}

func main() {
	ts, err := strconv.ParseInt(os.Args[1], 10, 64)
	if err != nil {
		panic(err)
	}
	print(&machine.Machine{
		Ts:          ts,
		Temperature: proto.Float32(21.3),
		Line:        "Süd-3",
		State:       machine.Machine_STATE_RUNNING,
		Motor:       &machine.Machine_Motor{Speed: 1450, Load: proto.Float32(0.75)},
		Cycles:      1<<53 - 2,
		Offset:      -7,
		Alarm:       true,
	})
	print(&machine.MachineBatch{Readings: []*machine.Machine{
		{Ts: ts + 1},
		{Ts: ts + 2, Temperature: proto.Float32(0), Offset: 1<<31 - 1},
	}})
}
