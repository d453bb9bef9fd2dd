// A change that a program makes, from the call to what becomes of it: looked at, counted, refused, made, noted. For
// faults.cpp, which has a function of libc for each template here.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <mutex>

#include "support/faults/faults.h"

namespace faults {
namespace fs = std::filesystem;

// Set while this library itself calls libc, whose functions then are the plain ones.
inline thread_local bool inside = false;

struct Inside {
  Inside() { inside = true; }
  ~Inside() { inside = false; }
};

inline std::mutex& mutex() {
  static auto* const one = new std::mutex;  // programs write until their very end
  return *one;
}

inline Plan& plan() {
  static auto* const one = new Plan;
  return *one;
}

// Where a name stands, with no link on the way to it; a link at its end is the name itself. Empty where there is none.
inline fs::path path_of(int folder, const char* name) {
  std::error_code error;
  fs::path path = name;
  if (path.is_relative() && folder != AT_FDCWD)
    path = fs::read_symlink("/proc/self/fd/" + std::to_string(folder), error) / path;
  if (path.is_relative()) path = fs::current_path(error) / path;
  if (!path.has_filename()) path = path.parent_path();
  return fs::canonical(path.parent_path(), error) / path.filename();
}

inline fs::path path_of(int descriptor) {
  std::error_code error;
  return fs::read_symlink("/proc/self/fd/" + std::to_string(descriptor), error);
}

struct Change {
  std::string text;  // of the log
  bool writes = true;
};

// `call` changes something, `half` makes half of the change; `look` says what it is, nothing for what lies outside.
template <typename Look, typename Call, typename Half>
auto change(const Look& look, const Call& call, const Half& half) -> decltype(call()) {
  if (inside) return call();
  const std::lock_guard lock(mutex());
  const int before = errno;
  int code = 0;
  bool counts = false;
  {
    const Inside guard;
    if (const std::optional<Change> what = plan().is_on() ? look() : std::nullopt) {
      counts = true;
      code = plan().begin(what->text, what->writes);
      if (plan().is_torn()) {
        half();
        Plan::kill_process();
      }
    }
  }
  errno = code != 0 ? code : before;
  if (code != 0) return static_cast<decltype(call())>(-1);
  const Inside guard;
  const auto result = call();
  if (counts) plan().end();
  return result;
}

template <typename Look, typename Call>
auto change(const Look& look, const Call& call) {
  return change(look, call, [] {});
}

inline std::optional<Change> named(const char* verb, const fs::path& path, bool writes = true) {
  const auto name = plan().below(path);
  if (!name) return std::nullopt;
  return Change{std::string(verb) + "\t" + *name, writes};
}

// Tells the shadow of a new inode; errno stays.
inline void note_made(const fs::path& path) {
  const int code = errno;
  struct stat info = {};
  if (plan().shadow() != nullptr && plan().below(path) && ::lstat(path.c_str(), &info) == 0)
    plan().shadow()->made(info);
  errno = code;
}

template <typename Open>
int open_file(int folder, const char* name, int flags, const Open& open) {
  if ((flags & (O_CREAT | O_TRUNC)) == 0) return open();
  bool is_new = false;
  fs::path path;
  return change(
      [&]() -> std::optional<Change> {
        path = path_of(folder, name);
        struct stat info = {};
        is_new = ::stat(path.c_str(), &info) != 0;
        const bool empties = !is_new && (flags & O_TRUNC) != 0 && info.st_size > 0;
        if (is_new && (flags & O_CREAT) != 0) return named("create", path);
        return empties ? named("empty", path, false) : std::nullopt;
      },
      [&] {
        const int descriptor = open();
        if (descriptor >= 0 && is_new) note_made(path);
        return descriptor;
      });
}

template <typename Write>
ssize_t write_bytes(const char* verb, int descriptor, std::size_t size, const Write& write) {
  if (descriptor <= STDERR_FILENO) return write(size);  // may come from a signal handler
  return change([&] { return named(verb, path_of(descriptor)); }, [&] { return write(size); },
                [&] { write(size / 2); });
}

template <typename Sync>
int sync_descriptor(const char* verb, int descriptor, const Sync& sync) {
  if (!inside) {
    int delay = 0;
    {
      const std::lock_guard lock(mutex());
      const Inside guard;
      if (plan().below(path_of(descriptor))) delay = plan().delay_ms();
    }
    if (delay > 0) ::usleep(static_cast<useconds_t>(delay) * 1000);
  }
  bool counts = false;
  return change(
      [&] {
        const auto what = named(verb, path_of(descriptor));
        counts = what.has_value();
        return what;
      },
      [&] {
        const int result = sync();
        if (result == 0 && counts && plan().shadow() != nullptr) plan().shadow()->synced(descriptor);
        return result;
      });
}

template <typename Rename>
int rename_name(int from_folder, const char* from, int to_folder, const char* to, const Rename& rename) {
  return change(
      [&]() -> std::optional<Change> {
        const auto old_name = plan().below(path_of(from_folder, from)), new_name = plan().below(path_of(to_folder, to));
        if (!old_name && !new_name) return std::nullopt;
        return Change{"rename\t" + old_name.value_or("?") + "\t" + new_name.value_or("?")};
      },
      rename);
}

template <typename Make>
auto make_folder(int folder, const char* name, const Make& make) {
  fs::path path;
  return change(
      [&] {
        path = path_of(folder, name);
        struct stat info = {};
        return ::lstat(path.c_str(), &info) == 0 ? std::nullopt : named("mkdir", path);
      },
      [&] {
        const int result = make();
        if (result == 0 && !path.empty()) note_made(path_of(folder, name));
        return result;
      });
}

template <typename Remove>
int remove_name(int folder, const char* name, const Remove& remove) {
  return change(
      [&]() -> std::optional<Change> {
        const fs::path path = path_of(folder, name);
        struct stat info = {};
        if (::lstat(path.c_str(), &info) != 0) return std::nullopt;
        return named(S_ISDIR(info.st_mode) ? "rmdir" : "unlink", path, false);
      },
      remove);
}

template <typename Truncate>
int cut_file(int descriptor, off64_t size, const Truncate& truncate) {
  return change(
      [&] {
        struct stat info = {};
        const bool grows = ::fstat(descriptor, &info) == 0 && info.st_size < size;
        return named("truncate", path_of(descriptor), grows);
      },
      truncate);
}

}  // namespace faults
