// What is kept back for when memory ends, under a limit of addresses, in a process of its own.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstdlib>
#include <fstream>
#include <new>

#include "core/spare_memory.h"

namespace finetune {
namespace {

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // which have a `new` and addresses of their own

// No address is left but for what is kept back.
void limit_addresses_to_those_in_use() {
  std::size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  const rlim_t bytes = pages * 4096;
  const rlimit limit{bytes, bytes};
  if (setrlimit(RLIMIT_AS, &limit) != 0) std::_Exit(9);
}

// 64 KiB each, never given back.
int blocks_until_the_end() {
  for (int blocks = 0;; ++blocks) {
    if (::operator new (std::size_t{64} << 10, std::nothrow) == nullptr) return blocks;
  }
}

TEST(SpareMemory, IsGivenAwayWhenThereIsNoneAndKeptBackAgain) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        keep_spare_memory();
        keep_spare_memory();  // once is enough
        limit_addresses_to_those_in_use();
        const int blocks = blocks_until_the_end();
        // 16 MiB are 256 blocks; what glibc's heap still had comes on top, and a piece may be torn.
        if (blocks < 200) std::_Exit(1);
        void* const none = std::malloc(std::size_t{1} << 20);
        std::_Exit(none == nullptr ? 0 : 2);  // nothing is left, and malloc alone is given nothing
      },
      ::testing::ExitedWithCode(0), "");
}

#endif

}  // namespace
}  // namespace finetune
