/* Loaded into a command and all that it starts (LD_PRELOAD): counts every change of a file below a
 * folder, writes each down before it is made, and makes trouble at one of them. Real calls, real
 * files: only the moment is chosen.
 *
 * From the environment:
 *   FAULTS_FOLDER  only what lies below it counts
 *   FAULTS_RECORD  the file that changes are written down in, a line each: what it is, its path, and
 *                  the other path of a rename, or the bytes of a file that is flushed
 *   FAULTS_AT      the number of the change, from 1, before which the trouble comes; 0: never
 *   FAULTS_SIGNAL  the number of a signal that the command is sent
 *   FAULTS_DO      a command of the shell
 *   FAULTS_CLOCK   seconds that the clock is set back
 *
 * The record begins with the number of changes so far, the id of the command's process, and how far
 * the clock is set back, 8 bytes each, which all its processes share.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct shared {
  _Atomic long changes;
  _Atomic long command;
  _Atomic long clock;
};

static struct shared *shared;
static const char *folder;
static int record = -1;
static long at;
static int number;
static long clock_back;
static char *to_do;

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("FAULTS_RECORD");
  folder = getenv("FAULTS_FOLDER");
  if (!path || !folder) return;
  record = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_APPEND | O_CLOEXEC);
  if (record < 0) return;
  shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, record, 0);
  if (shared == MAP_FAILED) { shared = NULL; return; }
  at = getenv("FAULTS_AT") ? atol(getenv("FAULTS_AT")) : 0;
  number = getenv("FAULTS_SIGNAL") ? atoi(getenv("FAULTS_SIGNAL")) : 0;
  to_do = getenv("FAULTS_DO") ? strdup(getenv("FAULTS_DO")) : NULL;
  clock_back = getenv("FAULTS_CLOCK") ? atol(getenv("FAULTS_CLOCK")) : 0;
  long none = 0;
  atomic_compare_exchange_strong(&shared->command, &none, (long)getpid());
}

/* Writes the absolute path of `path`, as seen from the folder `base`; returns 0 if it cannot. */
static int absolute(int base, const char *path, char *out) {
  if (path[0] == '/') return snprintf(out, PATH_MAX, "%s", path) < PATH_MAX;
  char link[64], start[PATH_MAX];
  ssize_t length;
  if (base == AT_FDCWD) {
    if (!getcwd(start, sizeof start)) return 0;
  } else {
    snprintf(link, sizeof link, "/proc/self/fd/%d", base);
    length = readlink(link, start, sizeof start - 1);
    if (length < 0) return 0;
    start[length] = 0;
  }
  return snprintf(out, PATH_MAX, "%s/%s", start, path) < PATH_MAX;
}

static int of_descriptor(int descriptor, char *out) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  ssize_t length = readlink(link, out, PATH_MAX - 1);
  if (length < 0) return 0;
  out[length] = 0;
  return 1;
}

static int counts(const char *path) {
  size_t length = strlen(folder);
  return strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == 0);
}

static void trouble(void) {
  shared->clock = clock_back;
  if (to_do) {
    struct shared *mine = shared;
    char *loaded = getenv("LD_PRELOAD") ? strdup(getenv("LD_PRELOAD")) : NULL;
    unsetenv("LD_PRELOAD");
    shared = NULL; /* what the shell changes does not count */
    if (system(to_do)) fprintf(stderr, "recorder: failed: %s\n", to_do);
    shared = mine;
    if (loaded) setenv("LD_PRELOAD", loaded, 1);
  }
  if (number) kill((pid_t)shared->command, number);
}

/* A change is about to be made. */
static void change(const char *what, const char *path, const char *other) {
  char line[2 * PATH_MAX + 64];
  int kept = errno;
  if (!counts(path) && !(other && counts(other))) return;
  int length = snprintf(line, sizeof line, "%s\t%s\t%s\n", what, path, other ? other : "");
  syscall(SYS_write, record, line, (size_t)length);
  if (atomic_fetch_add(&shared->changes, 1) + 1 == at) trouble();
  errno = kept;
}

static void of_path(const char *what, int base, const char *path) {
  char name[PATH_MAX];
  if (shared && path && absolute(base, path, name)) change(what, name, NULL);
}

static void of_paths(const char *what, int base, const char *path, int other_base, const char *other) {
  char one[PATH_MAX], two[PATH_MAX];
  if (shared && absolute(base, path, one) && absolute(other_base, other, two)) change(what, one, two);
}

static void of_open(const char *what, int descriptor) {
  char name[PATH_MAX];
  if (shared && descriptor > 2 && of_descriptor(descriptor, name)) change(what, name, NULL);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define OPENING(name, base, path, flags)                                          \
  mode_t mode = 0;                                                                \
  if ((flags) & O_CREAT || ((flags) & O_TMPFILE) == O_TMPFILE) {                   \
    va_list more;                                                                 \
    va_start(more, flags);                                                        \
    mode = va_arg(more, mode_t);                                                  \
    va_end(more);                                                                 \
  }                                                                               \
  if ((flags) & (O_CREAT | O_TRUNC)) of_path((flags) & O_TRUNC ? "cut" : "create", base, path)

int open(const char *path, int flags, ...) {
  OPENING(open, AT_FDCWD, path, flags);
  return REAL(open)(path, flags, mode);
}
int open64(const char *path, int flags, ...) {
  OPENING(open64, AT_FDCWD, path, flags);
  return REAL(open64)(path, flags, mode);
}
int openat(int base, const char *path, int flags, ...) {
  OPENING(openat, base, path, flags);
  return REAL(openat)(base, path, flags, mode);
}
int openat64(int base, const char *path, int flags, ...) {
  OPENING(openat64, base, path, flags);
  return REAL(openat64)(base, path, flags, mode);
}
FILE *fopen(const char *path, const char *how) {
  if (how[0] != 'r') of_path(how[0] == 'w' ? "cut" : "create", AT_FDCWD, path);
  return REAL(fopen)(path, how);
}
FILE *fopen64(const char *path, const char *how) {
  if (how[0] != 'r') of_path(how[0] == 'w' ? "cut" : "create", AT_FDCWD, path);
  return REAL(fopen64)(path, how);
}

int clock_gettime(clockid_t which, struct timespec *now) {
  int status = REAL(clock_gettime)(which, now);
  if (shared && which == CLOCK_REALTIME) now->tv_sec -= shared->clock;
  return status;
}
time_t time(time_t *now) {
  struct timespec precise;
  clock_gettime(CLOCK_REALTIME, &precise);
  if (now) *now = precise.tv_sec;
  return precise.tv_sec;
}

ssize_t write(int file, const void *data, size_t size) {
  of_open("write", file);
  return REAL(write)(file, data, size);
}
ssize_t pwrite(int file, const void *data, size_t size, off_t offset) {
  of_open("write", file);
  return REAL(pwrite)(file, data, size, offset);
}
ssize_t pwrite64(int file, const void *data, size_t size, off64_t offset) {
  of_open("write", file);
  return REAL(pwrite64)(file, data, size, offset);
}
ssize_t writev(int file, const struct iovec *parts, int count) {
  of_open("write", file);
  return REAL(writev)(file, parts, count);
}
ssize_t pwritev(int file, const struct iovec *parts, int count, off_t offset) {
  of_open("write", file);
  return REAL(pwritev)(file, parts, count, offset);
}
int ftruncate(int file, off_t size) {
  of_open("write", file);
  return REAL(ftruncate)(file, size);
}
int ftruncate64(int file, off64_t size) {
  of_open("write", file);
  return REAL(ftruncate64)(file, size);
}
static void flushed(int file) {
  char name[PATH_MAX], size[32];
  struct stat status;
  if (!shared || !of_descriptor(file, name) || fstat(file, &status)) return;
  snprintf(size, sizeof size, "%lld", (long long)status.st_size);
  change("sync", name, size);
}
int fsync(int file) {
  flushed(file);
  return REAL(fsync)(file);
}
int fdatasync(int file) {
  flushed(file);
  return REAL(fdatasync)(file);
}

int rename(const char *from, const char *to) {
  of_paths("rename", AT_FDCWD, from, AT_FDCWD, to);
  return REAL(rename)(from, to);
}
int renameat(int from_base, const char *from, int to_base, const char *to) {
  of_paths("rename", from_base, from, to_base, to);
  return REAL(renameat)(from_base, from, to_base, to);
}
int renameat2(int from_base, const char *from, int to_base, const char *to, unsigned flags) {
  of_paths(flags & RENAME_EXCHANGE ? "exchange" : "rename", from_base, from, to_base, to);
  return REAL(renameat2)(from_base, from, to_base, to, flags);
}
int unlink(const char *path) {
  of_path("remove", AT_FDCWD, path);
  return REAL(unlink)(path);
}
int unlinkat(int base, const char *path, int flags) {
  of_path("remove", base, path);
  return REAL(unlinkat)(base, path, flags);
}
int rmdir(const char *path) {
  of_path("remove", AT_FDCWD, path);
  return REAL(rmdir)(path);
}
int mkdir(const char *path, mode_t mode) {
  of_path("create", AT_FDCWD, path);
  return REAL(mkdir)(path, mode);
}
int mkdirat(int base, const char *path, mode_t mode) {
  of_path("create", base, path);
  return REAL(mkdirat)(base, path, mode);
}
