// Work on several things, each alone, by all cores.
#pragma once

#include <cstddef>
#include <functional>

namespace finetune {

/// Threads that work at once: the processors that this process may use.
std::size_t core_count();

/// Calls work(i) for every i below `count`, from core_count() threads, this one included; in no order. Returns when all
/// is done. Calls do not depend on each other; what one throws is thrown when all threads have ended, the first of
/// several, and the rest is not begun. Where there is no thread to have, this one does everything.
void on_all_cores(std::size_t count, const std::function<void(std::size_t)>& work);

}  // namespace finetune
