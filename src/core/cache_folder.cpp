#include "core/cache_folder.h"

#include <cstdlib>

namespace finetune {

std::filesystem::path cache_folder() {
  const auto from = [](const char* name) {
    const char* const value = std::getenv(name);
    const std::filesystem::path path = value != nullptr ? value : "";
    return path.is_absolute() ? path : std::filesystem::path();
  };
  if (const auto cache = from("XDG_CACHE_HOME"); !cache.empty()) return cache / "finetune_tune";
  if (const auto home = from("HOME"); !home.empty()) return home / ".cache" / "finetune_tune";
  return {};
}

}  // namespace finetune
