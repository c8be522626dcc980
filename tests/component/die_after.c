// Preloaded into a program: it dies, as by SIGKILL, in place of its Nth call that changes a file
// (DIE_AFTER in the environment), and has written half of what that call was to write.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

static int last_one(void) {
    static long left = -1;
    if (left == -1) {
        const char* text = getenv("DIE_AFTER");
        left = text == NULL ? 0 : strtol(text, NULL, 10);
    }
    return left != 0 && --left == 0;
}

static ssize_t (*next_pwrite(void))(int, const void*, size_t, off_t) {
    return (ssize_t(*)(int, const void*, size_t, off_t))dlsym(RTLD_NEXT, "pwrite");
}

ssize_t pwrite(int fd, const void* data, size_t bytes, off_t at) {
    if (!last_one())
        return next_pwrite()(fd, data, bytes, at);
    next_pwrite()(fd, data, bytes / 2, at);
    raise(SIGKILL);
    return -1;
}

ssize_t pwrite64(int fd, const void* data, size_t bytes, off_t at) {
    return pwrite(fd, data, bytes, at);
}

int ftruncate(int fd, off_t bytes) {
    if (last_one())
        raise(SIGKILL);
    return ((int (*)(int, off_t))dlsym(RTLD_NEXT, "ftruncate"))(fd, bytes);
}

int ftruncate64(int fd, off_t bytes) {
    return ftruncate(fd, bytes);
}

int fallocate(int fd, int mode, off_t at, off_t bytes) {
    if (last_one())
        raise(SIGKILL);
    return ((int (*)(int, int, off_t, off_t))dlsym(RTLD_NEXT, "fallocate"))(fd, mode, at, bytes);
}

int fallocate64(int fd, int mode, off_t at, off_t bytes) {
    return fallocate(fd, mode, at, bytes);
}
