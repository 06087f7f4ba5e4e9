/*
 * Owns the devices of the fleet's measures: connects them, and publishes at a fixed rate, each device in its turn, one message
 * a TCP segment. In C and with one thread, for what it uses is taken from what is measured. The broker is on this machine.
 *
 *   fleet-load PORT CONNECTS CONNECTS_PER_SECOND DEADLINE_MS
 *
 * Packets come in files, each with its length before it: four bytes in the order of this machine. CONNECTS holds the CONNECT of
 * each device. When all have their CONNACK a line says `{"connected":1000}`. Then each line of standard input is a run:
 *
 *   FILE RATE FIRST_DUE_NS
 *
 * FILE holds PUBLISHes of QoS 1, as many for each device: the first of every device, then the second of every one, with packet
 * ids from 1 up to 65535 and around. RATE is of all together, a second; FIRST_DUE_NS is by CLOCK_MONOTONIC. The run ends with one
 * line of JSON, in microseconds: how long after they were due messages were acknowledged (p50Us to maxUs) and sent (lateP50Us,
 * lateP99Us), and the processor's time. The program ends when standard input does.
 *
 * Always true:
 *   - A latency counts from when its message was due, so whoever is late, this program or a broker that reads nothing, shows
 *     (coordinated omission).
 *   - A device's PUBACKs come in the order of its messages (MQTT 3.1.1, 4.6), so one that is missing, or not wanted, is noticed
 *     at once. That, a connection that ends, and a deadline that has passed end the program: status 1, and why.
 *
 * A message costs it 10 us, nearly all of them the kernel's, in sending and receiving, where all are due at once. At 5,000 a second
 * it costs 30 to 40, for then it sleeps and is woken twice for each. (That it looked for PUBACKs only when the next message was due,
 * and took the kernel's word for when they came, saved 1 of 31 beside Telltale, and 8 of 40 beside Mosquitto.)
 *
 * Bounds: a file is held in memory whole, and eight bytes a message. What a socket does not take at once is an error: no run is
 * so long that its buffer fills before the broker must be called stuck.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)
#define NEVER UINT64_MAX

/* Between runs a device says so often that it is there: seldom, for another server is measured meanwhile. Its keep alive is longer. */
#define PING_EVERY_NS (600 * NS_PER_S)
/* Loopback addresses that devices connect from, in turns: a broker may take only so many connections of one. */
#define ADDRESSES 16
/* After so many messages in a row, if it is late, it looks for acknowledgements. */
#define SENDS_IN_A_ROW_MAX 16
#define EVENTS_MAX 256
#define READ_BYTES 4096
#define LINE_BYTES_MAX 4096
#define PACKET_ID_MAX 65535
/* Files that are open besides the devices' sockets. */
#define OTHER_FILES 16

/* MQTT 3.1.1: the first byte of the packets that come to a client which subscribes to nothing. */
enum { CONNACK = 0x20, PUBACK = 0x40, PINGRESP = 0xd0 };
/* The longest of them. */
#define ANSWER_BYTES_MAX 4

struct device {
  int socket;
  bool is_connected;
  /* The beginning of a packet that has not come whole. */
  uint8_t rest[ANSWER_BYTES_MAX];
  size_t rest_length;
  /* Of the run. */
  uint32_t sent;
  uint32_t acknowledged;
};

struct packets {
  uint8_t *bytes;
  size_t length;
  size_t count;
  /* Where the next one's length is. */
  size_t at;
};

struct run {
  struct packets publishes;
  uint64_t first_due;
  double interval_ns;
  size_t sent;
  size_t acknowledged;
  uint64_t last_acknowledged_at;
  /* Of each message, microseconds after it was due. */
  uint32_t *sent_after;
  uint32_t *acknowledged_after;
};

static struct device *devices;
static size_t device_count;
static size_t connected_count;
static struct run run;
static int epoll_file;
static char line[LINE_BYTES_MAX];
static size_t line_length;

__attribute__((noreturn, format(printf, 1, 2))) static void fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  exit(1);
}

static uint64_t clock_ns(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return (uint64_t)time.tv_sec * NS_PER_S + (uint64_t)time.tv_nsec;
}

static void *allocate(size_t count, size_t size) {
  void *memory = calloc(count > 0 ? count : 1, size);
  if (memory == NULL) fail("no memory for %zu times %zu bytes", count, size);
  return memory;
}

/* --- packets */

/* The next packet, without its length. */
static const uint8_t *next_packet(struct packets *packets, uint32_t *length) {
  if (packets->at + sizeof *length > packets->length) fail("a file of packets ends within a length");
  memcpy(length, packets->bytes + packets->at, sizeof *length);
  const uint8_t *packet = packets->bytes + packets->at + sizeof *length;
  if (*length > packets->length - packets->at - sizeof *length) fail("a file of packets ends within a packet");
  packets->at += sizeof *length + *length;
  return packet;
}

static struct packets read_packets(const char *path) {
  struct packets packets = {0};
  struct stat status;
  int file = open(path, O_RDONLY);
  if (file < 0 || fstat(file, &status) < 0) fail("%s: %s", path, strerror(errno));
  packets.length = (size_t)status.st_size;
  packets.bytes = allocate(packets.length, 1);
  for (size_t had = 0; had < packets.length;) {
    ssize_t count = read(file, packets.bytes + had, packets.length - had);
    if (count <= 0) fail("%s: %s", path, count < 0 ? strerror(errno) : "it has become shorter");
    had += (size_t)count;
  }
  close(file);
  for (uint32_t length; packets.at < packets.length; packets.count++) next_packet(&packets, &length);
  packets.at = 0;
  return packets;
}

/* --- devices */

static size_t number_of(const struct device *device) { return (size_t)(device - devices) + 1; }

__attribute__((noreturn)) static void fail_ended(const struct device *device, const char *why) {
  if (!device->is_connected) fail("the connection of device %zu ended before its CONNACK: %s", number_of(device), why);
  fail("the connection of device %zu ended: %s; %" PRIu32 " of its messages sent, %" PRIu32 " acknowledged", number_of(device), why,
       device->sent, device->acknowledged);
}

static void write_packet(const struct device *device, const uint8_t *packet, size_t length) {
  ssize_t written = send(device->socket, packet, length, MSG_NOSIGNAL);
  if (written == (ssize_t)length) return;
  if (written < 0 && errno != EAGAIN) fail_ended(device, strerror(errno));
  fail("device %zu could not send: the broker does not read, and the socket's buffer is full", number_of(device));
}

/* Waits until the kernel has the connection; the CONNACK comes later. */
static void connect_device(struct device *device, const struct sockaddr_in *broker, struct packets *connects,
                           uint64_t deadline_ms) {
  const int on = 1;
  device->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (device->socket < 0) fail("device %zu has no socket: %s", number_of(device), strerror(errno));
  const struct timeval patience = {.tv_sec = (time_t)(deadline_ms / 1000) + 1};
  setsockopt(device->socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  setsockopt(device->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(device->socket, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  const struct sockaddr_in own = {
      .sin_family = AF_INET,
      .sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)((number_of(device) - 1) % ADDRESSES)),
  };
  if (bind(device->socket, (const struct sockaddr *)&own, sizeof own) < 0 ||
      connect(device->socket, (const struct sockaddr *)broker, sizeof *broker) < 0 ||
      fcntl(device->socket, F_SETFL, O_NONBLOCK) < 0)
    fail("device %zu could not connect: %s", number_of(device), strerror(errno));
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = device};
  if (epoll_ctl(epoll_file, EPOLL_CTL_ADD, device->socket, &event) < 0) fail("epoll_ctl: %s", strerror(errno));
  uint32_t length;
  const uint8_t *packet = next_packet(connects, &length);
  write_packet(device, packet, length);
}

static uint64_t due(size_t message) { return run.first_due + (uint64_t)((double)message * run.interval_ns); }

static uint32_t us_between(uint64_t from, uint64_t to) {
  const uint64_t us = to > from ? (to - from) / NS_PER_US : 0;
  return us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

static void take_puback(struct device *device, unsigned id, uint64_t now) {
  const unsigned wanted = 1 + device->acknowledged % PACKET_ID_MAX;
  if (device->acknowledged == device->sent) fail("device %zu got a PUBACK for %u, which is not in flight", number_of(device), id);
  if (id != wanted) fail("device %zu got a PUBACK for %u where %u was next", number_of(device), id, wanted);
  const size_t message = device->acknowledged++ * device_count + number_of(device) - 1;
  run.acknowledged_after[message] = us_between(due(message), now);
  run.acknowledged++;
  run.last_acknowledged_at = now;
}

static void take_connack(struct device *device, unsigned code) {
  if (device->is_connected) fail("device %zu got a second CONNACK", number_of(device));
  if (code != 0) fail("device %zu was refused: CONNACK with return code %u", number_of(device), code);
  device->is_connected = true;
  connected_count++;
}

static void receive(struct device *device) {
  uint8_t bytes[ANSWER_BYTES_MAX + READ_BYTES];
  memcpy(bytes, device->rest, device->rest_length);
  const ssize_t count = recv(device->socket, bytes + device->rest_length, READ_BYTES, 0);
  if (count < 0 && errno == EAGAIN) return;
  if (count <= 0) fail_ended(device, count < 0 ? strerror(errno) : "the broker closed it");
  const uint64_t now = clock_ns(CLOCK_MONOTONIC);
  const size_t length = device->rest_length + (size_t)count;
  size_t at = 0;
  while (at + 2 <= length) {
    const uint8_t type = bytes[at], remaining = bytes[at + 1];
    if (remaining != (type == PINGRESP ? 0 : 2) || (type != CONNACK && type != PUBACK && type != PINGRESP))
      fail("device %zu got what it did not ask for: bytes %02x %02x", number_of(device), type, remaining);
    const size_t end = at + 2 + remaining;
    if (end > length) break;
    if (type == CONNACK) take_connack(device, bytes[at + 3]);
    if (type == PUBACK) take_puback(device, (unsigned)bytes[at + 2] << 8 | bytes[at + 3], now);
    at = end;
  }
  device->rest_length = length - at;
  memcpy(device->rest, bytes + at, device->rest_length);
}

/* --- waiting */

/* Waits for something to come, until then, and takes it. True if standard input has something: among the events it is NULL. */
static bool wait_until(uint64_t until) {
  struct epoll_event events[EVENTS_MAX];
  const uint64_t now = clock_ns(CLOCK_MONOTONIC);
  const uint64_t left = until > now ? until - now : 0;
  const struct timespec time = {.tv_sec = (time_t)(left / NS_PER_S), .tv_nsec = (long)(left % NS_PER_S)};
  const int count = epoll_pwait2(epoll_file, events, EVENTS_MAX, until == NEVER ? NULL : &time, NULL);
  if (count < 0 && errno != EINTR) fail("epoll_pwait2: %s", strerror(errno));
  bool has_input = false;
  for (int index = 0; index < count; index++) {
    if (events[index].data.ptr == NULL) has_input = true;
    else receive(events[index].data.ptr);
  }
  return has_input;
}

static void connect_all(const struct sockaddr_in *broker, const char *path, double per_second, uint64_t deadline_ms) {
  struct packets connects = read_packets(path);
  device_count = connects.count;
  if (device_count == 0) fail("%s has no packet", path);
  devices = allocate(device_count, sizeof *devices);
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  if (files.rlim_max < device_count + OTHER_FILES)
    fail("%zu devices need as many open files: allowed are %llu (ulimit -n)", device_count, (unsigned long long)files.rlim_max);
  const uint64_t from = clock_ns(CLOCK_MONOTONIC), deadline = from + deadline_ms * NS_PER_MS;
  for (size_t begun = 0; connected_count < device_count;) {
    const uint64_t next = begun < device_count ? from + (uint64_t)((double)(begun * NS_PER_S) / per_second) : NEVER;
    const uint64_t now = clock_ns(CLOCK_MONOTONIC);
    if (now > deadline)
      fail("%zu of %zu devices have no CONNACK after %" PRIu64 " ms", device_count - connected_count, device_count, deadline_ms);
    if (now >= next) connect_device(&devices[begun++], broker, &connects, deadline_ms);
    else wait_until(next < deadline ? next : deadline);
  }
  free(connects.bytes);
  printf("{\"connected\":%zu}\n", connected_count);
}

/* The next line of standard input, without its end; where that ends, the program does. Meanwhile device after device pings. */
static void read_line(void) {
  static const uint8_t PINGREQ[] = {0xc0, 0};
  static size_t next_device;
  uint64_t ping_at = clock_ns(CLOCK_MONOTONIC);
  line_length = 0;
  while (line_length == 0 || line[line_length - 1] != '\n') {
    if (clock_ns(CLOCK_MONOTONIC) >= ping_at) {
      write_packet(&devices[next_device], PINGREQ, sizeof PINGREQ);
      next_device = (next_device + 1) % device_count;
      ping_at += PING_EVERY_NS / device_count;
    }
    if (!wait_until(ping_at)) continue;
    if (line_length == LINE_BYTES_MAX) fail("a line is longer than %d bytes", LINE_BYTES_MAX);
    const ssize_t count = read(STDIN_FILENO, line + line_length, LINE_BYTES_MAX - line_length);
    if (count == 0) exit(0);
    if (count < 0) fail("standard input: %s", strerror(errno));
    line_length += (size_t)count;
  }
  line[line_length - 1] = '\0';
  if (strchr(line, '\n') != NULL) fail("a run is one line, and the next one comes after its result");
}

/* --- a run */

static void begin_run(void) {
  char path[LINE_BYTES_MAX];
  double rate;
  if (sscanf(line, "%s %lf %" SCNu64, path, &rate, &run.first_due) != 3 || rate <= 0)
    fail("\"%s\" is not FILE RATE FIRST_DUE_NS", line);
  run.publishes = read_packets(path);
  if (run.publishes.count == 0 || run.publishes.count % device_count != 0)
    fail("%s: %zu messages are not as many for each of %zu devices", path, run.publishes.count, device_count);
  run.interval_ns = (double)NS_PER_S / rate;
  run.sent = run.acknowledged = 0;
  run.sent_after = allocate(run.publishes.count, sizeof *run.sent_after);
  run.acknowledged_after = allocate(run.publishes.count, sizeof *run.acknowledged_after);
  for (size_t index = 0; index < device_count; index++) devices[index].sent = devices[index].acknowledged = 0;
}

static void send_next(void) {
  struct device *device = &devices[run.sent % device_count];
  uint32_t length;
  const uint8_t *packet = next_packet(&run.publishes, &length);
  device->sent++;
  write_packet(device, packet, length);
  run.sent_after[run.sent] = us_between(due(run.sent), clock_ns(CLOCK_MONOTONIC));
  run.sent++;
}

static void publish_all(uint64_t deadline_ms) {
  const size_t total = run.publishes.count;
  const uint64_t deadline = due(total - 1) + deadline_ms * NS_PER_MS;
  while (run.acknowledged < total) {
    const uint64_t now = clock_ns(CLOCK_MONOTONIC);
    for (int sends = 0; sends < SENDS_IN_A_ROW_MAX && run.sent < total && due(run.sent) <= now; sends++) send_next();
    if (now > deadline)
      fail("%zu of %zu messages not acknowledged %" PRIu64 " ms after the last was due", total - run.acknowledged, total,
           deadline_ms);
    if (wait_until(run.sent < total ? due(run.sent) : deadline))
      fail("standard input has a line, or ended, in the middle of a run");
  }
}

static int compare(const void *one, const void *other) {
  const uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;
  return (a > b) - (a < b);
}

/* The least value that so many percent of the sorted ones do not exceed. */
static uint32_t percentile(const uint32_t *sorted, size_t count, double percent) {
  const double rank = (double)count * percent / 100;
  size_t index = (size_t)rank;
  if ((double)index == rank && index > 0) index--;
  return sorted[index < count ? index : count - 1];
}

static void end_run(uint64_t cpu_ns) {
  const size_t count = run.publishes.count;
  uint32_t *latencies = run.acknowledged_after, *late = run.sent_after;
  qsort(latencies, count, sizeof *latencies, compare);
  qsort(late, count, sizeof *late, compare);
  printf("{\"sent\":%zu,\"acknowledged\":%zu,\"elapsedUs\":%" PRIu32, run.sent, run.acknowledged,
         us_between(run.first_due, run.last_acknowledged_at));
  printf(",\"p50Us\":%" PRIu32 ",\"p90Us\":%" PRIu32 ",\"p99Us\":%" PRIu32 ",\"p999Us\":%" PRIu32 ",\"maxUs\":%" PRIu32,
         percentile(latencies, count, 50), percentile(latencies, count, 90), percentile(latencies, count, 99),
         percentile(latencies, count, 99.9), latencies[count - 1]);
  printf(",\"lateP50Us\":%" PRIu32 ",\"lateP99Us\":%" PRIu32 ",\"cpuUs\":%" PRIu64 "}\n", percentile(late, count, 50),
         percentile(late, count, 99), cpu_ns / NS_PER_US);
  free(run.publishes.bytes);
  free(run.sent_after);
  free(run.acknowledged_after);
}

int main(int count, char **arguments) {
  struct sockaddr_in broker = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (count != 5) fail("usage: fleet-load PORT CONNECTS CONNECTS_PER_SECOND DEADLINE_MS");
  broker.sin_port = htons((uint16_t)atoi(arguments[1]));
  const uint64_t deadline_ms = strtoull(arguments[4], NULL, 10);
  setvbuf(stdout, NULL, _IOLBF, 0);
  /* By default a wait may last 50 us longer than asked for. */
  prctl(PR_SET_TIMERSLACK, 1);
  epoll_file = epoll_create1(EPOLL_CLOEXEC);
  connect_all(&broker, arguments[2], atof(arguments[3]), deadline_ms);
  struct epoll_event input = {.events = EPOLLIN, .data.ptr = NULL};
  if (epoll_ctl(epoll_file, EPOLL_CTL_ADD, STDIN_FILENO, &input) < 0) fail("standard input is no pipe: %s", strerror(errno));
  for (;;) {
    read_line();
    begin_run();
    const uint64_t before = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    publish_all(deadline_ms);
    end_run(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - before);
  }
}
