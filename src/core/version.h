// The version of the program, once: CMake's project() has it.
#pragma once

namespace finetune {

extern const char* const kVersion;  ///< "0.1.0"

}  // namespace finetune
