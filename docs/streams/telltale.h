/* Avro's numbers and texts, for the encoders of the pages beside this file. C99; nothing is allocated. */
#ifndef TELLTALE_H
#define TELLTALE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* used grows beyond size when something does not fit: then the bytes are not whole. */
struct tt_buffer {
    uint8_t *bytes;
    size_t size, used;
};

static inline void tt_byte(struct tt_buffer *b, uint8_t byte)
{
    if (b->used < b->size) b->bytes[b->used] = byte;
    b->used++;
}

static inline void tt_bytes(struct tt_buffer *b, const void *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) tt_byte(b, ((const uint8_t *)bytes)[i]);
}

/* int, long, an enum's number, a length: zigzag, then seven bits a byte, the lowest first. */
static inline void tt_long(struct tt_buffer *b, int64_t value)
{
    uint64_t rest = value < 0 ? ~((uint64_t)value << 1) : (uint64_t)value << 1;
    for (; rest >= 0x80; rest >>= 7) tt_byte(b, (uint8_t)(rest | 0x80));
    tt_byte(b, (uint8_t)rest);
}

static inline void tt_fixed(struct tt_buffer *b, uint64_t bits, int length)
{
    for (int i = 0; i < length; i++) tt_byte(b, (uint8_t)(bits >> (8 * i)));
}

static inline void tt_float(struct tt_buffer *b, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    tt_fixed(b, bits, 4);
}

static inline void tt_double(struct tt_buffer *b, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    tt_fixed(b, bits, 8);
}

static inline void tt_bool(struct tt_buffer *b, bool value)
{
    tt_byte(b, value ? 1 : 0);
}

/* UTF-8. NULL is the empty text. */
static inline void tt_string(struct tt_buffer *b, const char *text)
{
    size_t length = text ? strlen(text) : 0;
    tt_long(b, (int64_t)length);
    tt_bytes(b, text, length);
}

struct tt_data {
    const void *bytes;
    size_t length;
};

static inline void tt_data(struct tt_buffer *b, struct tt_data data)
{
    tt_long(b, (int64_t)data.length);
    tt_bytes(b, data.bytes, data.length);
}

/* Two's complement, the highest byte first: in size bytes, or for 0 in as few as hold it, after their number. */
static inline void tt_decimal(struct tt_buffer *b, int64_t value, int size)
{
    uint64_t bits = value < 0 ? ~(uint64_t)value : (uint64_t)value;
    int length = 1;
    while (length < 8 && bits >> (8 * length - 1)) length++;
    if (size == 0) tt_long(b, size = length);
    while (size-- > 0) tt_byte(b, size < 8 ? (uint8_t)((uint64_t)value >> (8 * size)) : value < 0 ? 0xff : 0);
}

struct tt_ints {
    const int32_t *items;
    size_t count;
};

static inline void tt_ints(struct tt_buffer *b, struct tt_ints list)
{
    if (list.count > 0) tt_long(b, (int64_t)list.count);
    for (size_t i = 0; i < list.count; i++) tt_long(b, list.items[i]);
    tt_long(b, 0);
}

struct tt_longs {
    const int64_t *items;
    size_t count;
};

static inline void tt_longs(struct tt_buffer *b, struct tt_longs list)
{
    if (list.count > 0) tt_long(b, (int64_t)list.count);
    for (size_t i = 0; i < list.count; i++) tt_long(b, list.items[i]);
    tt_long(b, 0);
}

struct tt_floats {
    const float *items;
    size_t count;
};

static inline void tt_floats(struct tt_buffer *b, struct tt_floats list)
{
    if (list.count > 0) tt_long(b, (int64_t)list.count);
    for (size_t i = 0; i < list.count; i++) tt_float(b, list.items[i]);
    tt_long(b, 0);
}

struct tt_doubles {
    const double *items;
    size_t count;
};

static inline void tt_doubles(struct tt_buffer *b, struct tt_doubles list)
{
    if (list.count > 0) tt_long(b, (int64_t)list.count);
    for (size_t i = 0; i < list.count; i++) tt_double(b, list.items[i]);
    tt_long(b, 0);
}

/* So many keys follow, each with its value; then tt_long(b, 0). */
static inline void tt_map(struct tt_buffer *b, int count)
{
    if (count > 0) tt_long(b, count);
}

/* A value that may be null: which branch of the union follows. */
static inline bool tt_branch(struct tt_buffer *b, bool has, int branch)
{
    tt_long(b, has ? branch : 1 - branch);
    return has;
}

#endif
