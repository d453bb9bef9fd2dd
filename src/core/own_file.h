// Where this code lies: in the program, or in a shared library that some other program has loaded.
#pragma once

#include <filesystem>

namespace finetune {

/// The file that holds this code; empty where the system does not tell.
std::filesystem::path own_file();

/// The program finetune_tune, for work that wants a process of its own: own_file(), or what stands beside it where that
/// is a library. Empty where there is none.
std::filesystem::path own_program();

}  // namespace finetune
