#include "core/memory_files.h"

#include "core/error.h"

namespace finetune {

const std::shared_ptr<const std::string>& text_of_memory_file(const MemoryFiles& files, const std::string& path) {
  const auto found = files.find(path);
  if (found != files.end()) return found->second;
  throw bad_input(path,
                  "was held by the program that began this, not in a file; give the same rows there "
                  "(finetune_tune.resume(out, data=...)), or a file of your own here");
}

}  // namespace finetune
