// Where this program keeps what it can make again.
#pragma once

#include <filesystem>

namespace finetune {

/// "XDG_CACHE_HOME/finetune_tune", else "HOME/.cache/finetune_tune"; "" where neither is an absolute path.
std::filesystem::path cache_folder();

}  // namespace finetune
