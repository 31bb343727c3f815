/* An nbdkit plugin: a disk over a file whose every flush takes flush_us, as a drive's without a
 * safe cache does; reads and writes take no time of their own. Used by slow_flush.py. */
#define NBDKIT_API_VERSION 2
#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL
#include <errno.h>
#include <fcntl.h>
#include <nbdkit-plugin.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int fd = -1;
static long flush_us = 2000;

static int config(const char* key, const char* value) {
  if (strcmp(key, "flush_us") == 0) {
    flush_us = atol(value);
    return 0;
  }
  if (strcmp(key, "file") == 0) {
    fd = open(value, O_RDWR | O_CLOEXEC);
    if (fd >= 0) return 0;
    nbdkit_error("%s: %m", value);
    return -1;
  }
  nbdkit_error("unknown parameter %s", key);
  return -1;
}

static void* open_disk(int readonly) {
  (void)readonly;
  return &fd;
}

static int64_t get_size(void* handle) {
  struct stat st;
  (void)handle;
  return fstat(fd, &st) == 0 ? st.st_size : -1;
}

static int yes(void* handle) {
  (void)handle;
  return 1;
}

static int disk_pread(void* handle, void* buf, uint32_t count, uint64_t offset, uint32_t flags) {
  (void)handle, (void)flags;
  if (pread(fd, buf, count, (off_t)offset) == (ssize_t)count) return 0;
  nbdkit_error("pread: %m");
  return -1;
}

static int disk_flush(void* handle, uint32_t flags) {
  const struct timespec wait = {flush_us / 1000000, flush_us % 1000000 * 1000};
  (void)handle, (void)flags;
  return clock_nanosleep(CLOCK_MONOTONIC, 0, &wait, NULL) == 0 ? 0 : -1;
}

static int disk_pwrite(void* handle, const void* buf, uint32_t count, uint64_t offset,
                       uint32_t flags) {
  if (pwrite(fd, buf, count, (off_t)offset) != (ssize_t)count) {
    nbdkit_error("pwrite: %m");
    return -1;
  }
  return flags & NBDKIT_FLAG_FUA ? disk_flush(handle, 0) : 0;
}

static int can_fua(void* handle) {
  (void)handle;
  return NBDKIT_FUA_NATIVE;
}

static struct nbdkit_plugin plugin = {
    .name = "slowflush",
    .config = config,
    .open = open_disk,
    .get_size = get_size,
    .pread = disk_pread,
    .pwrite = disk_pwrite,
    .flush = disk_flush,
    .can_flush = yes,
    .can_multi_conn = yes,
    .can_fua = can_fua,
};
NBDKIT_REGISTER_PLUGIN(plugin)
