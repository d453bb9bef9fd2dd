// Some rows of files, those that were held out say.
#pragma once

#include <cstdint>
#include <functional>

namespace finetune {

/// Which rows of a list of files are wanted, by index of the file and line (or record number for .json).
using RowFilter = std::function<bool(std::int32_t file, std::int64_t line)>;

}  // namespace finetune
