/* Loaded before libc (LD_PRELOAD): a program's N-th fsync kills it, or finds the disk full.

   FSYNC_FAULT=kill:N    dies at the N-th call, before it has reached the disk
   FSYNC_FAULT=full:N    ENOSPC at the N-th call and at every later one
   FSYNC_FAULT=once:N    ENOSPC at the N-th call alone
   FSYNC_COUNT=PATH      appends one byte for each call, to learn how many there are
   CLOCK_OFFSET=SECONDS  the clock of the day is wrong by so much */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

int fsync(int fd) {
  static int calls = 0;
  int call = __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST);
  const char *count = getenv("FSYNC_COUNT");
  if (count) {
    int file = open(count, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (file >= 0) {
      if (write(file, ".", 1) != 1) abort();
      close(file);
    }
  }
  const char *fault = getenv("FSYNC_FAULT");
  if (fault && strncmp(fault, "kill:", 5) == 0 && call == atoi(fault + 5)) kill(getpid(), SIGKILL);
  int full = fault && strncmp(fault, "full:", 5) == 0 && call >= atoi(fault + 5);
  int once = fault && strncmp(fault, "once:", 5) == 0 && call == atoi(fault + 5);
  if (full || once) {
    errno = ENOSPC;
    return -1;
  }
  return syscall(SYS_fsync, fd);
}

static time_t clock_offset(void) {
  const char *offset = getenv("CLOCK_OFFSET");
  return offset ? atol(offset) : 0;
}

int clock_gettime(clockid_t id, struct timespec *now) {
  int result = syscall(SYS_clock_gettime, id, now);
  if (result == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) now->tv_sec += clock_offset();
  return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  (void)zone;
  struct timespec precise;
  int result = clock_gettime(CLOCK_REALTIME, &precise);
  if (result == 0) {
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
  }
  return result;
}

time_t time(time_t *now) {
  struct timespec precise;
  clock_gettime(CLOCK_REALTIME, &precise);
  if (now) *now = precise.tv_sec;
  return precise.tv_sec;
}
