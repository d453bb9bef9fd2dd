// Faults of a disk for a program as it is, SQLite's writing included: a library for LD_PRELOAD that stands before the
// functions of libc by which files are changed. It acts on paths below one folder only:
//
//   FAULTS_UNDER=FOLDER      the folder; without it nothing happens
//   FAULTS_LOG=FILE          a line for every change: number, name and path from FAULTS_UNDER (of a rename both), with
//                            tabs between; "fails" at its end for one that was made to fail
//   FAULTS_KILL=N            SIGKILL just before change N, the first being 1
//   FAULTS_KILL_AFTER=N      just after it
//   FAULTS_TORN=N            after half of its bytes, where it writes some; else before it
//   FAULTS_ERRNO=CODE        what writes (makes a file, folder or name, writes, syncs, makes a file longer) fails with
//                            this errno (a number, or ENOSPC, EDQUOT, EIO, EROFS, EACCES, ESTALE):
//   FAULTS_FROM=N FAULTS_TO=M    changes N to M - 1, each try counting as one
//   FAULTS_ERRNO_FILE=FILE       as long as FILE exists
//   FAULTS_DELAY_MS=N        each sync takes so much longer
//   FAULTS_SHADOW=FOLDER     what a power cut would leave (Shadow): power_cut.py UNDER SHADOW brings it about once the
//                            process is gone. Contents are as at their last fsync, names as at the last fsync of their
//                            folder; a file that was never synced comes back empty. Processes that follow one another
//                            go on with the same folder; what lay there before the first, or since the last power
//                            cut, is durable.
//
// A change: an open that makes or empties a file (create, empty), mkdir, a write, truncate, fsync, fdatasync, rename,
// unlink, rmdir; what changes nothing, such as an unlink of what is not there, is none. Changes are made one after the
// other, whatever their threads; the time of a delay is not shared. Not seen: writes through mmap and stdio, link,
// symlink, copy_file_range, and calls within libc.
#include "support/faults/faults.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>

#include "support/faults/changes.h"

using namespace faults;

namespace {

template <typename Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

// The function of libc behind the one of this name.
#define NEXT(name)                                            \
  (*[] {                                                      \
    static auto* const found = next<decltype(::name)>(#name); \
    return found;                                             \
  }())

mode_t mode_of(int flags, va_list list) {
  return (flags & O_CREAT) != 0 ? va_arg(list, mode_t) : 0;
}

}  // namespace

#define MODE_ARGUMENT                       \
  va_list list;                             \
  va_start(list, flags);                    \
  const mode_t mode = mode_of(flags, list); \
  va_end(list)

extern "C" {

int open(const char* name, int flags, ...) {
  MODE_ARGUMENT;
  return open_file(AT_FDCWD, name, flags, [&] { return NEXT(open)(name, flags, mode); });
}

int open64(const char* name, int flags, ...) {
  MODE_ARGUMENT;
  return open_file(AT_FDCWD, name, flags, [&] { return NEXT(open64)(name, flags, mode); });
}

int openat(int folder, const char* name, int flags, ...) {
  MODE_ARGUMENT;
  return open_file(folder, name, flags, [&] { return NEXT(openat)(folder, name, flags, mode); });
}

int openat64(int folder, const char* name, int flags, ...) {
  MODE_ARGUMENT;
  return open_file(folder, name, flags, [&] { return NEXT(openat64)(folder, name, flags, mode); });
}

int creat(const char* name, mode_t mode) {
  return open_file(AT_FDCWD, name, O_CREAT | O_TRUNC, [&] { return NEXT(creat)(name, mode); });
}

ssize_t write(int descriptor, const void* bytes, size_t size) {
  return write_bytes("write", descriptor, size, [&](size_t count) { return NEXT(write)(descriptor, bytes, count); });
}

ssize_t pwrite(int descriptor, const void* bytes, size_t size, off_t at) {
  return write_bytes("write", descriptor, size,
                     [&](size_t count) { return NEXT(pwrite)(descriptor, bytes, count, at); });
}

ssize_t pwrite64(int descriptor, const void* bytes, size_t size, off64_t at) {
  return write_bytes("write", descriptor, size,
                     [&](size_t count) { return NEXT(pwrite64)(descriptor, bytes, count, at); });
}

ssize_t writev(int descriptor, const struct iovec* parts, int count) {
  size_t all = 0;
  for (int i = 0; i < count; ++i) all += parts[i].iov_len;
  return write_bytes("write", descriptor, all, [&](size_t size) {
    if (size == all) return NEXT(writev)(descriptor, parts, count);
    std::string bytes;
    for (int i = 0; i < count; ++i) bytes.append(static_cast<const char*>(parts[i].iov_base), parts[i].iov_len);
    return NEXT(write)(descriptor, bytes.data(), size);
  });
}

int fsync(int descriptor) {
  return sync_descriptor("fsync", descriptor, [&] { return NEXT(fsync)(descriptor); });
}

int fdatasync(int descriptor) {
  return sync_descriptor("fdatasync", descriptor, [&] { return NEXT(fdatasync)(descriptor); });
}

int ftruncate(int descriptor, off_t size) noexcept {
  return cut_file(descriptor, size, [&] { return NEXT(ftruncate)(descriptor, size); });
}

int ftruncate64(int descriptor, off64_t size) noexcept {
  return cut_file(descriptor, size, [&] { return NEXT(ftruncate64)(descriptor, size); });
}

int rename(const char* from, const char* to) noexcept {
  return rename_name(AT_FDCWD, from, AT_FDCWD, to, [&] { return NEXT(rename)(from, to); });
}

int renameat(int from_folder, const char* from, int to_folder, const char* to) noexcept {
  return rename_name(from_folder, from, to_folder, to,
                     [&] { return NEXT(renameat)(from_folder, from, to_folder, to); });
}

int renameat2(int from_folder, const char* from, int to_folder, const char* to, unsigned int flags) noexcept {
  return rename_name(from_folder, from, to_folder, to,
                     [&] { return NEXT(renameat2)(from_folder, from, to_folder, to, flags); });
}

int mkdir(const char* name, mode_t mode) noexcept {
  return make_folder(AT_FDCWD, name, [&] { return NEXT(mkdir)(name, mode); });
}

int mkdirat(int folder, const char* name, mode_t mode) noexcept {
  return make_folder(folder, name, [&] { return NEXT(mkdirat)(folder, name, mode); });
}

char* mkdtemp(char* name) noexcept {
  return make_folder(AT_FDCWD, name, [&] { return NEXT(mkdtemp)(name) == nullptr ? -1 : 0; }) == 0 ? name : nullptr;
}

int unlink(const char* name) noexcept {
  return remove_name(AT_FDCWD, name, [&] { return NEXT(unlink)(name); });
}

int unlinkat(int folder, const char* name, int flags) noexcept {
  return remove_name(folder, name, [&] { return NEXT(unlinkat)(folder, name, flags); });
}

int rmdir(const char* name) noexcept {
  return remove_name(AT_FDCWD, name, [&] { return NEXT(rmdir)(name); });
}

int remove(const char* name) noexcept {
  return remove_name(AT_FDCWD, name, [&] { return NEXT(remove)(name); });
}

}  // extern "C"
