#include "core/disk_fault.h"

#include <cerrno>
#include <cstring>
#include <string>

#include "core/error.h"

namespace finetune {

bool may_go_away(int code) {
  switch (code) {
    case ENOSPC:  // full
    case EDQUOT:
    case EIO:    // a disk or a cable
    case EROFS:  // what file systems become after an error, until they are mounted again
    case ENODEV:
    case ESTALE:  // file servers and FUSE
    case ETIMEDOUT:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENETDOWN:
    case ENETUNREACH:
    case ECONNREFUSED:
    case ECONNRESET:
    case ENOTCONN:
    case EREMOTEIO:
    case EACCES:  // a ticket of a file server that ran out, or rights that somebody changed while the study ran
    case EKEYEXPIRED:
    case ENOMEM:  // the system as a whole
    case ENFILE:
      return true;
    default:
      return false;
  }
}

void settle_fault(const DiskFault& fault, const char* verb, const OnDiskFault& on_fault) {
  if (on_fault && may_go_away(fault.code) && on_fault(fault)) return;
  throw failed(fault.path.string(), std::string("cannot be ") + verb + ": " + std::strerror(fault.code));
}

}  // namespace finetune
