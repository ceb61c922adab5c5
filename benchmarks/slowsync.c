/* Every flush waits SLOWSYNC_US microseconds more, or, with NOSYNC set, is not done at all. For LD_PRELOAD. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

static int skipped(void) {
    const char *extra = getenv("SLOWSYNC_US");
    if (getenv("NOSYNC")) return 1;
    if (extra) usleep((useconds_t)atoi(extra));
    return 0;
}

#define FLUSH(name, parameters, arguments)                                                                          \
    int name parameters {                                                                                           \
        static int (*next) parameters;                                                                              \
        if (skipped()) return 0;                                                                                    \
        if (!next) next = (int(*) parameters)dlsym(RTLD_NEXT, #name);                                               \
        return next arguments;                                                                                      \
    }

FLUSH(fsync, (int fd), (fd))
FLUSH(fdatasync, (int fd), (fd))
FLUSH(syncfs, (int fd), (fd))
FLUSH(sync_file_range, (int fd, off_t from, off_t count, unsigned flags), (fd, from, count, flags))
FLUSH(msync, (void *from, size_t count, int flags), (from, count, flags))

void sync(void) {
    static void (*next)(void);
    if (skipped()) return;
    if (!next) next = (void (*)(void))dlsym(RTLD_NEXT, "sync");
    next();
}
