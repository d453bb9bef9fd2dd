// Memory that runs out while a device works: which errors mean it, and work that is begun again once there is room.
#pragma once

#include <c10/util/Exception.h>

#include <new>
#include <string_view>

#include "core/spare_memory.h"

namespace finetune {

/// Whether an error of LibTorch says that memory ran out. Its allocators have a type for it on GPUs only; the
/// processor's, cuBLAS and cuDNN (which make their handles and workspaces when they are first needed) and the
/// instantiation and launch of CUDA graphs say it in words.
bool says_out_of_memory(std::string_view message);

/// Calls work() until there is memory for it; make_room() is called in between and throws when it has nothing left.
/// `work` must be such that it may be begun again after it threw.
template <typename Work, typename MakeRoom>
void with_memory(const Work& work, const MakeRoom& make_room) {
  for (;;) {
    try {
      return work();
    } catch (const c10::OutOfMemoryError&) {
    } catch (const std::bad_alloc&) {
    } catch (const c10::Error& error) {
      if (!says_out_of_memory(error.what_without_backtrace())) throw;
    }
    make_room();
    keep_spare_memory();
  }
}

}  // namespace finetune
