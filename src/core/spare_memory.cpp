#include "core/spare_memory.h"

#include <sys/mman.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <new>

namespace finetune {
namespace {

// glibc asks the system for a mebibyte at least where its heap cannot grow. Pieces, so that two threads that fail at
// once both get one.
constexpr std::size_t kPiece = std::size_t{2} << 20, kPieces = 8;

// A new-handler can reach nothing but a global.
std::array<std::atomic<void*>, kPieces> spare_pieces;

void give_a_piece() {
  for (auto& piece : spare_pieces) {
    if (void* const address = piece.exchange(nullptr)) {
      ::munmap(address, kPiece);
      return;
    }
  }
  throw std::bad_alloc();
}

}  // namespace

void keep_spare_memory() {
  std::set_new_handler(give_a_piece);
  for (auto& piece : spare_pieces) {
    if (piece != nullptr) continue;
    void* const address = ::mmap(nullptr, kPiece, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (address == MAP_FAILED) return;
    void* none = nullptr;
    if (!piece.compare_exchange_strong(none, address)) ::munmap(address, kPiece);
  }
}

}  // namespace finetune
