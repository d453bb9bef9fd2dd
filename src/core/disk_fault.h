// What happens when a disk does not take what is written: whoever writes may be told, wait, and let it be tried again.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>

namespace finetune {

/// A system call of a write that failed.
struct DiskFault {
  std::filesystem::path path;
  int code = 0;             ///< errno
  std::uint64_t bytes = 0;  ///< still to be written, 0 where nobody knows
};

/// Asked when a write failed for a reason that may go away (may_go_away). True: it has waited, try again. False, or
/// where nobody is to be asked (an empty function): Error (failed) naming the path. It is called by the thread that
/// writes and may throw, which leaves everything as after the Error.
using OnDiskFault = std::function<bool(const DiskFault&)>;

/// Whether a person or time can make the same write go well: a full disk or quota, a disk or server that does not
/// answer, a file system that became read-only, a right that ran out. Not what lies in the path itself, such as a
/// folder that is gone or a name that is too long.
bool may_go_away(int code);

/// Returns when the call is to be made again; else throws Error (failed) "PATH: cannot be `verb`: reason".
void settle_fault(const DiskFault& fault, const char* verb, const OnDiskFault& on_fault);

}  // namespace finetune
