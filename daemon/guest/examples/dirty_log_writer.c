// The writer's side of a shared dirty log: a program that owns memory, lends it to multifdd and
// goes on writing to it while multifdd saves it. DIRTY_LOG.md beside this file states the rules
// that it keeps; numbers in brackets refer to them.
//
//     dirty_log_writer QMP-SOCKET [--mib N] [--rate MIB] [--seed N] [--forget N] [--silent 1]
//
// It reads commands from standard input and answers each with a line:
//
//     stop     stops writing         "stopped WRITES", also when multifdd asked for it
//     go       goes on writing       "writing"
//     count                          "writes WRITES"
//
// and ends when standard input does. --forget N leaves every N-th write out of the log, which is
// wrong: a save then misses pages, and a test can prove that it would notice. --silent 1 leaves it
// to whoever reads "stopped WRITES" to tell multifdd so.
#define _GNU_SOURCE // NOLINT: the name is the C library's

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { kPageBytes = 4096, kPageWords = kPageBytes / 8, kPagesPerLogByte = 8 };

static void die(const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("dirty_log_writer: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

// The memory and its log.

struct guest {
    uint64_t pages;
    int memory_fd;
    unsigned char* memory;
    int log_fd;
    _Atomic uint8_t* log; // bit n % 8 of byte n / 8 is for page n [1]

    uint64_t seed;
    uint64_t random_state;
    uint64_t writes;
    uint64_t forget; // every so many writes are left out of the log; 0: none
};

static void* map_shared(int fd, size_t bytes) {
    void* const at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        die("map %zu bytes: %s", bytes, strerror(errno));
    return at;
}

static int make_memfd(const char* name, size_t bytes) {
    const int fd = memfd_create(name, MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, (off_t)bytes) != 0)
        die("make %s of %zu bytes: %s", name, bytes, strerror(errno));
    return fd;
}

static void make_guest(struct guest* guest, uint64_t mib) {
    guest->pages = (mib << 20) / kPageBytes;
    guest->memory_fd = make_memfd("guest-memory", guest->pages * kPageBytes);
    guest->memory = map_shared(guest->memory_fd, guest->pages * kPageBytes);
    // In whole words of 64 bits, since that is how multifdd looks at it. [1]
    const size_t log_bytes = (guest->pages + 63) / 64 * 8;
    guest->log_fd = make_memfd("dirty-log", log_bytes);
    guest->log = map_shared(guest->log_fd, log_bytes);
    guest->random_state = guest->seed;
}

// Says that a page was written. Only after the write: a bit set before it may be taken, and the
// page be saved, while the old content is still there. [2] Atomic, because multifdd clears bits
// meanwhile. [3] The OR releases the write, so whoever sees the bit sees the page.
static void log_write(struct guest* guest, uint64_t page) {
    const uint8_t bit = (uint8_t)(1U << (page % kPagesPerLogByte));
    atomic_fetch_or_explicit(&guest->log[page / kPagesPerLogByte], bit, memory_order_acq_rel);
}

// What it writes: pages that can be checked afterwards, as multifdd's emulated guest's.

static uint64_t mixed(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
}

// Magic, page number, generation, seed, checksum over all other words, filling.
static void fill_page(unsigned char* to, uint64_t page, uint64_t generation, uint64_t seed) {
    uint64_t words[kPageWords] = {0x314547415044464d, page, generation, seed};
    const uint64_t base = mixed(seed + mixed(page + mixed(generation)));
    uint64_t sum = 0;
    for (size_t i = 0; i < kPageWords; ++i) {
        if (i == 4)
            continue;
        if (i > 4) {
            const uint64_t x = base + i * 0x9e3779b97f4a7c15;
            words[i] = (x ^ (x >> 32)) * 0xd6e8feb86659fd93;
        }
        sum = ((sum << 5) | (sum >> 59)) ^ words[i];
    }
    words[4] = sum;
    memcpy(to, words, sizeof(words));
}

static void write_one_page(struct guest* guest) {
    guest->random_state += 0x9e3779b97f4a7c15;
    const uint64_t page = mixed(guest->random_state) % guest->pages;
    ++guest->writes;
    fill_page(guest->memory + page * kPageBytes, page, guest->writes, guest->seed);
    const bool forgotten = guest->forget != 0 && guest->writes % guest->forget == 0;
    if (!forgotten)
        log_write(guest, page);
}

// Multifdd's control socket: JSON, one message in a line.

struct lines {
    int fd;
    size_t used;
    char data[64 << 10];
};

// The next complete line; false until more was received.
static bool take_line(struct lines* from, char* line, size_t size) {
    const char* const end = memchr(from->data, '\n', from->used);
    if (end == NULL)
        return false;
    const size_t length = (size_t)(end - from->data) + 1;
    if (length > size)
        die("a line of %zu bytes", length);
    memcpy(line, from->data, length - 1);
    line[length - 1] = '\0';
    from->used -= length;
    memmove(from->data, from->data + length, from->used);
    return true;
}

// False at the end of the input.
static bool receive(struct lines* into) {
    if (into->used == sizeof(into->data))
        die("a line of more than %zu bytes", into->used);
    const ssize_t got = read(into->fd, into->data + into->used, sizeof(into->data) - into->used);
    if (got < 0 && errno == EINTR)
        return true;
    if (got < 0)
        die("read: %s", strerror(errno));
    into->used += (size_t)got;
    return got > 0;
}

static int connect_to(const char* path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path))
        die("the path of the socket is too long");
    strcpy(address.sun_path, path);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr*)&address, sizeof(address)) != 0)
        die("connect to %s: %s", path, strerror(errno));
    return fd;
}

// Sends a command; `passed` is a descriptor that goes along (SCM_RIGHTS), or -1.
static void send_command(int socket_fd, const char* text, int passed) {
    struct iovec part = {(void*)text, strlen(text)};
    union { // aligned as a header has to be
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (passed >= 0) {
        memset(&control, 0, sizeof(control));
        message.msg_control = &control;
        message.msg_controllen = sizeof(control.space);
        struct cmsghdr* const header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &passed, sizeof(passed));
    }
    const ssize_t sent = sendmsg(socket_fd, &message, MSG_NOSIGNAL);
    if (sent != (ssize_t)part.iov_len) // a command is far shorter than a socket's buffer
        die("send a command: %s", sent < 0 ? strerror(errno) : "cut short");
}

// A real program has a JSON library and looks at members instead of text.
static bool is_event(const char* message, const char* name) {
    char member[128];
    snprintf(member, sizeof(member), "\"event\": \"%s\"", name);
    return strstr(message, member) != NULL;
}

// Sends a command and waits for its reply. Events that come before it are dropped, so only for the
// time before anything is saved.
static void call(struct lines* qmp, int passed, const char* format, ...) {
    char text[512];
    char reply[sizeof(qmp->data)];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    send_command(qmp->fd, text, passed);
    do {
        while (!take_line(qmp, reply, sizeof(reply)))
            if (!receive(qmp))
                die("multifdd closed the connection");
    } while (strstr(reply, "\"event\"") != NULL || strstr(reply, "\"QMP\"") != NULL);
    if (strstr(reply, "\"error\"") != NULL)
        die("%s was answered with %s", text, reply);
}

enum { kMemorySet = 1000, kLogSet = 1001 }; // any numbers that nobody else uses

// Makes the memory a RAM block of multifdd's guest, under the name "shared0".
static void lend_memory(struct lines* qmp, const struct guest* guest) {
    call(qmp, -1, "{\"execute\": \"qmp_capabilities\"}");
    call(qmp, guest->memory_fd, "{\"execute\": \"add-fd\", \"arguments\": {\"fdset-id\": %d}}",
         kMemorySet);
    call(qmp, guest->log_fd, "{\"execute\": \"add-fd\", \"arguments\": {\"fdset-id\": %d}}",
         kLogSet);
    call(qmp, -1,
         "{\"execute\": \"object-add\", \"arguments\": {\"qom-type\": \"memory-backend-file\", "
         "\"id\": \"shared0\", \"size\": %llu, \"share\": true, "
         "\"mem-path\": \"/dev/fdset/%d\", \"x-dirty-log\": \"/dev/fdset/%d\"}}",
         (unsigned long long)guest->pages * kPageBytes, kMemorySet, kLogSet);
}

// Writing and stopping.

struct writer {
    struct guest guest;
    bool running;
    bool silent;
    uint64_t bytes_per_second; // 0: as fast as it goes
    struct timespec since;     // writing since then,
    uint64_t writes_before;    // and so many writes were done before
};

static void go(struct writer* writer) {
    clock_gettime(CLOCK_MONOTONIC, &writer->since);
    writer->writes_before = writer->guest.writes;
    writer->running = true;
}

static void stop(struct writer* writer) {
    writer->running = false;
    printf("stopped %llu\n", (unsigned long long)writer->guest.writes);
}

static uint64_t pages_due(const struct writer* writer) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    const double seconds = (double)(now.tv_sec - writer->since.tv_sec) +
                           (double)(now.tv_nsec - writer->since.tv_nsec) / 1e9;
    const uint64_t done = writer->guest.writes - writer->writes_before;
    const uint64_t due = (uint64_t)(seconds * (double)writer->bytes_per_second / kPageBytes);
    return due > done ? due - done : 0;
}

// A few pages, so that a request to stop is seen soon.
static void write_some(struct writer* writer) {
    enum { kSome = 64 };
    uint64_t count = writer->bytes_per_second == 0 ? kSome : pages_due(writer);
    if (count > kSome)
        count = kSome;
    while (count-- > 0)
        write_one_page(&writer->guest);
}

// multifdd cannot stop this program, so it announces its last pass and waits. Nothing may be
// written between our answer and RESUME. [5]
static void handle_message(struct writer* writer, int qmp, const char* message) {
    if (is_event(message, "X_MULTIFDD_STOP_NEEDED")) {
        stop(writer);
        if (!writer->silent)
            send_command(qmp, "{\"execute\": \"stop\"}", -1);
    } else if (is_event(message, "RESUME") && !writer->running) {
        go(writer);
    }
}

static void handle_command(struct writer* writer, const char* command) {
    if (strcmp(command, "stop") == 0) {
        stop(writer);
    } else if (strcmp(command, "go") == 0) {
        go(writer);
        puts("writing");
    } else if (strcmp(command, "count") == 0) {
        printf("writes %llu\n", (unsigned long long)writer->guest.writes);
    } else {
        die("unknown command '%s'", command);
    }
}

static void run(struct writer* writer, struct lines* qmp, struct lines* input) {
    static char line[sizeof(qmp->data)];
    for (;;) {
        while (take_line(qmp, line, sizeof(line)))
            handle_message(writer, qmp->fd, line);
        while (take_line(input, line, sizeof(line)))
            handle_command(writer, line);

        int wait_ms = -1; // until there is something to read
        if (writer->running) {
            write_some(writer);
            wait_ms = writer->bytes_per_second == 0 || pages_due(writer) > 0 ? 0 : 1;
        }
        struct pollfd ready[] = {{.fd = qmp->fd, .events = POLLIN},
                                 {.fd = input->fd, .events = POLLIN}};
        if (poll(ready, 2, wait_ms) < 0 && errno != EINTR)
            die("poll: %s", strerror(errno));
        if (ready[0].revents != 0 && !receive(qmp))
            die("multifdd closed the connection");
        if (ready[1].revents != 0 && !receive(input))
            return;
    }
}

static uint64_t number(const char* text) {
    char* end = NULL;
    errno = 0;
    const unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0')
        die("'%s' is no number", text);
    return value;
}

int main(int argc, char** argv) {
    static struct lines qmp;
    static struct lines input = {.fd = STDIN_FILENO};
    struct writer writer = {.guest = {.seed = 1}};
    uint64_t mib = 64;
    if (argc < 2 || argc % 2 != 0)
        die("usage: dirty_log_writer QMP-SOCKET [--OPTION NUMBER]...");
    for (int i = 2; i < argc; i += 2) {
        const uint64_t value = number(argv[i + 1]);
        if (strcmp(argv[i], "--mib") == 0 && value > 0)
            mib = value;
        else if (strcmp(argv[i], "--rate") == 0)
            writer.bytes_per_second = value << 20;
        else if (strcmp(argv[i], "--seed") == 0)
            writer.guest.seed = value;
        else if (strcmp(argv[i], "--forget") == 0)
            writer.guest.forget = value;
        else if (strcmp(argv[i], "--silent") == 0)
            writer.silent = value != 0;
        else
            die("%s %s is not understood", argv[i], argv[i + 1]);
    }
    setvbuf(stdout, NULL, _IOLBF, 0);

    make_guest(&writer.guest, mib);
    qmp.fd = connect_to(argv[1]);
    lend_memory(&qmp, &writer.guest);
    printf("memory /proc/%ld/fd/%d\n", (long)getpid(), writer.guest.memory_fd);
    go(&writer);
    run(&writer, &qmp, &input);
    return 0;
}
