#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pb_encode.h>

#include "machine.pb.h"

static int print(const pb_msgdesc_t *fields, const void *message)
{
    uint8_t bytes[512];
    pb_ostream_t stream = pb_ostream_from_buffer(bytes, sizeof bytes);
    if (!pb_encode(&stream, fields, message)) {
        fprintf(stderr, "%s\n", PB_GET_ERROR(&stream));
        return 1;
    }
    for (size_t at = 0; at < stream.bytes_written; at++)
        printf("%02x", bytes[at]);
    printf("\n");
    return 0;
}

int main(int argc, char **argv)
{
    long long ts = argc > 1 ? atoll(argv[1]) : 0;
    telltale_Machine full = telltale_Machine_init_zero;
    full.ts = ts;
    full.has_temperature = true;
    full.temperature = 21.3f;
    strcpy(full.line, "S\xc3\xbc" "d-3");
    full.state = telltale_Machine_State_STATE_RUNNING;
    full.has_motor = true;
    full.motor.speed = 1450;
    full.motor.has_load = true;
    full.motor.load = 0.75f;
    full.cycles = (1ull << 53) - 2;
    full.offset = -7;
    full.alarm = true;

    telltale_MachineBatch batch = telltale_MachineBatch_init_zero;
    batch.readings_count = 2;
    batch.readings[0].ts = ts + 1;
    batch.readings[1].ts = ts + 2;
    batch.readings[1].has_temperature = true;
    batch.readings[1].offset = 2147483647;
    return print(telltale_Machine_fields, &full) || print(telltale_MachineBatch_fields, &batch);
}
