/* Loaded before libc (LD_PRELOAD): a program's N-th fsync kills it, or finds the disk full.

   FSYNC_FAULT=kill:N    dies at the N-th call, before it has reached the disk
   FSYNC_FAULT=full:N    ENOSPC at the N-th call and at every later one
   FSYNC_FAULT=once:N    ENOSPC at the N-th call alone
   FSYNC_COUNT=PATH      appends one byte for each call, to learn how many there are */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
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
